/** What `which --url` has found, in the form of `--json`: names are stable, more may be added. */
import type { Explanation } from '../api/api.js';
import { isDistrusted } from '../config/l7/header-names.js';
import type { L7Bind, L7Config, L7Frontend } from '../config/l7/types.js';
import type { LoadedConfig } from '../config/types.js';
import type { RouteExplanation } from '../l7/routes/explain.js';
import { groupOf } from '../l7/routes/matching.js';
import { drawMatch, drawTarget } from '../l7/statistics.js';
import type { L7Status } from '../l7/status.js';
import { type Answer, answerTo, type RouteAnswer } from '../l7/which/answer.js';
import { type CertificateChoice, certificateFor } from '../l7/which/certificate.js';
import type { Listener, Speaks } from '../l7/which/listeners.js';
import type { AskedRequest } from '../l7/which/request.js';
import { formatEndpoint } from '../packet/compose.js';
import type { State } from './decider.js';

export interface UrlReport {
  /** The file that frontends, routes and upstreams are of. */
  readonly config: string;
  /** What decides about slots; absent without a client. */
  readonly state?: State;
  readonly request: {
    readonly url: string;
    /** Lines, as they were given. */
    readonly headers: readonly string[];
    /** The Host header that follows. */
    readonly host: string;
    /** With the query. */
    readonly path: string;
  };
  readonly frontends: readonly FrontendReport[];
  /** When no frontend takes the request. */
  readonly why?: string;
}

export interface FrontendReport {
  readonly frontend: string;
  readonly speaks: Speaks;
  readonly certificate?: CertificateChoice;
  readonly services: readonly ServiceReport[];
  readonly answer: AnswerReport;
}

export interface ServiceReport {
  readonly service: string;
  readonly vip: string;
  readonly port: number;
  readonly pool: string;
  /** Of the client's flow; absent without a client. */
  readonly flow?: Explanation;
  /** The backends of the pool, one of which it is; absent with a client. */
  readonly proxyHosts?: readonly {
    readonly name: string;
    readonly address: string;
    readonly state: string;
  }[];
}

export type AnswerReport = Exclude<Answer, RouteAnswer> | RoutesReport;

export interface RoutesReport {
  readonly from: 'routes';
  /** As it is compared: in lower case, without port. */
  readonly host: string;
  /** The most specific host pattern that matches; `*`: any host. Null: no route is for this host. */
  readonly pattern: string | null;
  /** Null: none, and the answer is 404. */
  readonly route: RouteReport | null;
  readonly passedOver: readonly (RouteReport & { readonly unmet: readonly Unmet[] })[];
  /** Of a redirect, or 404; absent when servers answer. */
  readonly status?: number;
  readonly location?: string;
  readonly upstream?: UpstreamReport;
}

export interface RouteReport {
  /** From 0, in the list of the frontend. */
  readonly index: number;
  /** In the file. */
  readonly line: number;
  /** Its host pattern; `*`: any host. */
  readonly pattern: string;
  /** Host, path and conditions. */
  readonly match: string;
  readonly to: string;
}

export interface Unmet {
  readonly kind: 'header' | 'cookie';
  readonly name: string;
  readonly wanted: string;
  /** Null: the request has none. */
  readonly found: string | null;
  /** Proxy hosts delete this header, whatever its value, before routes. */
  readonly isDeleted?: true;
}

export interface UpstreamReport {
  readonly name: string;
  readonly balance: string;
  readonly stickyCookie?: string;
  /** By `anyhop l7 run` on this host; absent when it was not asked, or does not know the upstream. */
  readonly now?: { readonly usable: number; readonly active: number; readonly panic: boolean };
  readonly servers: readonly {
    readonly name: string;
    readonly address: string;
    readonly weight: number;
    readonly state: string;
    readonly health?: string;
    readonly why?: string;
  }[];
}

export type WithL7 = LoadedConfig & { readonly l7: L7Config };

/** @param flows of the listener's services, in their order; undefined without a client */
export function frontendReport(
  listener: Listener,
  config: WithL7,
  request: AskedRequest,
  port: number,
  flows: readonly Explanation[] | undefined,
): FrontendReport {
  const { frontend, speaks, binds } = listener;
  const answer = answerTo(listener, config.l7, request);
  return {
    frontend: frontend.name,
    speaks,
    ...(speaks === 'https' && { certificate: certificateFor(frontend.certificates!, request) }),
    services: binds.map((bind, i) => serviceReport(bind, config, port, flows?.[i])),
    answer: answer.from === 'routes' ? routesReport(answer, frontend, config) : answer,
  };
}

function serviceReport(
  { service, vip }: L7Bind,
  { services, pools }: LoadedConfig,
  port: number,
  flow: Explanation | undefined,
): ServiceReport {
  const pool = services.find(({ name }) => name === service)!.pool;
  const { backends } = pools.find(({ name }) => name === pool)!;
  return {
    service,
    vip: vip.text,
    port,
    pool,
    ...(flow === undefined
      ? { proxyHosts: backends.map(({ name, address, state }) => ({ name, address: address.text, state })) }
      : { flow }),
  };
}

function routesReport(answer: RouteAnswer, frontend: L7Frontend, config: WithL7): RoutesReport {
  const { routing } = answer;
  const report = (index: number): RouteReport => ({
    index,
    line: config.placeOf(['l7', 'frontends', frontend.name, 'routes', index]).line,
    pattern: groupOf(frontend.routes[index].host),
    match: drawMatch(frontend.routes[index]),
    to: drawTarget(frontend.routes[index]),
  });
  return {
    from: 'routes',
    host: textOf(routing.host),
    pattern: routing.group ?? null,
    route: routing.route === undefined ? null : report(routing.route),
    passedOver: routing.passedOver.map(({ route, unmet }) => ({
      ...report(route),
      unmet: unmet.map(unmetOf),
    })),
    ...('status' in answer && { status: answer.status }),
    ...('location' in answer && { location: answer.location }),
    ...('upstream' in answer && { upstream: upstreamReport(answer.upstream, config.l7) }),
  };
}

function unmetOf({ source, value, found }: RouteExplanation['passedOver'][number]['unmet'][number]): Unmet {
  const colon = source.indexOf(':');
  const [kind, name] = [source.slice(0, colon) as Unmet['kind'], source.slice(colon + 1)];
  return {
    kind,
    name,
    wanted: value,
    found: found === undefined ? null : textOf(found),
    ...(kind === 'header' && isDistrusted(name) && { isDeleted: true as const }),
  };
}

/** Of bytes, one a UTF-16 unit. */
export function textOf(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}

function upstreamReport(name: string, { upstreams }: L7Config): UpstreamReport {
  const { balance, stickyCookie, servers } = upstreams.find((one) => one.name === name)!;
  return {
    name,
    balance,
    ...(stickyCookie !== undefined && { stickyCookie }),
    servers: servers.map(({ name: server, address, port, weight, state }) => ({
      name: server,
      address: formatEndpoint({ address, port }),
      weight,
      state,
    })),
  };
}

/** The upstream as the tier on this host has it. */
export function withStatus(report: FrontendReport, { upstreams }: L7Status): FrontendReport {
  const { answer } = report;
  if (answer.from !== 'routes' || answer.upstream === undefined) return report;
  const { name } = answer.upstream;
  const found = upstreams.find((one) => one.name === name);
  if (found === undefined) return report;
  const { usable, active, panic, servers } = found;
  const upstream: UpstreamReport = {
    ...answer.upstream,
    now: { usable, active, panic },
    servers: servers.map(({ name: server, address, weight, state, health, why }) => ({
      name: server,
      address,
      weight,
      state,
      health,
      ...(why !== undefined && { why }),
    })),
  };
  return { ...report, answer: { ...answer, upstream } };
}
