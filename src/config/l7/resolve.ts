/** From a checked draft of the section `l7` to what the program uses. */
import { dirname, resolve as resolvePath } from 'node:path';
import {
  HEALTH_FALL_DEFAULT,
  HEALTH_INTERVAL_MS_DEFAULT,
  HEALTH_RISE_DEFAULT,
  HEALTH_TIMEOUT_MS_DEFAULT,
} from '../../core/limits.js';
import { type DraftL7, type DraftService, valuesOf } from '../draft.js';
import type { MetricsConfig } from '../metrics/types.js';
import { type L7Files, unreadPem } from './files.js';
import type { RedirectStatus } from './frontend-schema.js';
import type { DraftFrontend, DraftUpstream } from './judge.js';
import type { RedirectTarget } from './patterns.js';
import type {
  HeaderEdits,
  L7Bind,
  L7Config,
  L7Frontend,
  L7Health,
  L7Route,
  L7Upstream,
  NameValue,
  PemFile,
} from './types.js';

const REDIRECT_STATUS_DEFAULT: RedirectStatus = 308;

/** What was read from a file that the config names; undefined without one. */
type Pem = (path: string | undefined) => PemFile | undefined;

/** Needs a draft in which nothing is missing. */
export function l7Config(
  draft: DraftL7,
  services: readonly DraftService[],
  configFile: string,
  files: L7Files,
  metrics: MetricsConfig | undefined,
): L7Config {
  const { key, keyFile, acme, frontends, upstreams, metrics: _, ...values } = valuesOf(draft);
  const absolute = (path: string): string => resolvePath(dirname(configFile), path);
  // A role that reads no files still knows that there are some.
  const readFrom =
    (read: ReadonlyMap<string, PemFile>): Pem =>
    (path) =>
      path === undefined ? undefined : (read.get(absolute(path)) ?? unreadPem(absolute(path)));
  const authorities = readFrom(files.authorities);
  const certificate = readFrom(files.certificates);
  return {
    ...values,
    key: files.key,
    acmeThumbprint: acme?.thumbprint,
    metrics,
    frontends: (draft.frontends ?? []).map((one) => frontend(one, services, absolute, authorities)),
    upstreams: (draft.upstreams ?? []).map((one) => upstream(one, authorities, certificate)),
  };
}

function frontend(
  draft: DraftFrontend,
  services: readonly DraftService[],
  absolute: (path: string) => string,
  authorities: Pem,
): L7Frontend {
  const { name, certificates, routes, clientRate, headers, hstsMs, clients, idleTimeoutMs } = {
    ...valuesOf(draft),
    name: draft.name,
  };
  const binds = (names: readonly { readonly value: string }[] = []): L7Bind[] =>
    names.map(({ value }) => bindOf(services.find((service) => service.name === value)!));
  return {
    name,
    binds: binds(draft.services),
    redirectBinds: binds(draft.redirectFrom),
    certificates: certificates === undefined ? undefined : absolute(certificates),
    routes: routes.map(route),
    clientRate,
    requestHeaders: edits(headers, headers?.request),
    responseHeaders: edits(headers, headers?.response),
    hstsMs,
    clientsCa: authorities(clients?.caFile),
    idleTimeoutMs,
  };
}

function bindOf({ name, vip, ports }: DraftService): L7Bind {
  return { service: name!, vip: vip!, portFirst: ports!.first, portLast: ports!.last };
}

interface Edits {
  readonly set?: readonly NameValue[] | undefined;
  readonly remove?: readonly string[] | undefined;
}

function edits(...parts: readonly (Edits | undefined)[]): HeaderEdits {
  return {
    set: parts.flatMap((part) =>
      (part?.set ?? []).map(({ name, value }) => ({ name: name.toLowerCase(), value })),
    ),
    remove: parts.flatMap((part) => (part?.remove ?? []).map((name) => name.toLowerCase())),
  };
}

function route({
  host,
  path,
  headers = [],
  cookies = [],
  to,
  redirect,
  status,
}: {
  readonly host?: string | undefined;
  readonly path: string;
  readonly headers?: readonly NameValue[] | undefined;
  readonly cookies?: readonly NameValue[] | undefined;
  readonly to?: string | undefined;
  readonly redirect?: RedirectTarget | undefined;
  readonly status?: RedirectStatus | undefined;
}): L7Route {
  return {
    host,
    path,
    headers: headers.map(({ name, value }) => ({ name: name.toLowerCase(), value })),
    cookies,
    to,
    redirect: redirect && { ...redirect, status: status ?? REDIRECT_STATUS_DEFAULT },
  };
}

/** Without a section `health`, a check opens a connection. */
function upstream(draft: DraftUpstream, authorities: Pem, certificate: Pem): L7Upstream {
  const { health, tls, sticky, passive, hashOn, ...values } = valuesOf(draft);
  return {
    ...values,
    name: draft.name,
    hashOn,
    stickyCookie: sticky?.cookie,
    health: health === undefined ? TCP_CHECK : healthOf(health),
    passiveErrors: passive?.errors,
    tls: tls && {
      serverName: tls.serverName,
      ca: authorities(tls.caFile),
      certificate: certificate(tls.certificate),
    },
  };
}

const TCP_CHECK: L7Health = {
  kind: 'tcp',
  path: '/',
  host: undefined,
  status: { first: 200, last: 399 },
  port: undefined,
  intervalMs: HEALTH_INTERVAL_MS_DEFAULT,
  timeoutMs: HEALTH_TIMEOUT_MS_DEFAULT,
  rise: HEALTH_RISE_DEFAULT,
  fall: HEALTH_FALL_DEFAULT,
};

function healthOf({
  kind,
  ...check
}: Omit<L7Health, 'kind' | 'host' | 'port'> & {
  kind: 'http' | 'tcp' | 'none';
  host?: string | undefined;
  port?: number | undefined;
}): L7Health | undefined {
  return kind === 'none' ? undefined : { kind, ...check, host: check.host, port: check.port };
}
