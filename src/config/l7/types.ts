/** The section `l7` as the program sees it: names resolved, files read, defaults filled in. In the order of the file, so that an index is a place in it. */
import type { IpAddress } from '../../packet/address.js';
import type { ServersFrom } from '../discover/types.js';
import type { ValuesOf } from '../draft.js';
import type { MetricsConfig } from '../metrics/types.js';
import type { Secret } from '../secret.js';
import type { l7Frontend, RedirectStatus } from './frontend-schema.js';
import type { RedirectTarget } from './patterns.js';
import type { l7 } from './schema.js';
import type { l7Upstream } from './upstream-schema.js';

type Values = ValuesOf<typeof l7>;
type FrontendValues = ValuesOf<typeof l7Frontend>;
export type UpstreamValues = ValuesOf<typeof l7Upstream>;

export interface NameValue {
  readonly name: string;
  readonly value: string;
}

/** Where a frontend listens: the VIP and ports of a layer-4 service. */
export interface L7Bind {
  readonly service: string;
  readonly vip: IpAddress;
  /** Inclusive. */
  readonly portFirst: number;
  readonly portLast: number;
}

export interface L7Redirect extends RedirectTarget {
  readonly status: RedirectStatus;
}

/** Exactly one of `to` and `redirect` is set. */
export interface L7Route {
  /** In lower case; `*.example.com` for all names below it; undefined for any host. */
  readonly host: string | undefined;
  /** Starts with `/`; by whole segments. */
  readonly path: string;
  /** All must hold; names in lower case. */
  readonly headers: readonly NameValue[];
  readonly cookies: readonly NameValue[];
  /** Name of an upstream. */
  readonly to: string | undefined;
  readonly redirect: L7Redirect | undefined;
}

/** Names in lower case. */
export interface HeaderEdits {
  readonly set: readonly NameValue[];
  readonly remove: readonly string[];
}

/** A file that the config names. */
export interface PemFile {
  /** Absolute. */
  readonly path: string;
  /** Its text: certificates, and with them maybe a private key; a stand-in where it was not read. */
  readonly pem: Secret;
}

export interface L7Frontend {
  readonly name: string;
  /** Of `services`, in their order. */
  readonly binds: readonly L7Bind[];
  /** Of `redirect_from`, in their order. */
  readonly redirectBinds: readonly L7Bind[];
  /** Absolute path of the directory; undefined for plain HTTP. */
  readonly certificates: string | undefined;
  readonly routes: readonly L7Route[];
  readonly clientRate: FrontendValues['clientRate'];
  readonly requestHeaders: HeaderEdits;
  readonly responseHeaders: HeaderEdits;
  readonly hstsMs: number | undefined;
  /** Authorities of client certificates; undefined when clients need none. */
  readonly clientsCa: PemFile | undefined;
  readonly idleTimeoutMs: number;
}

export type HashOn = NonNullable<UpstreamValues['hashOn']>;
export interface L7Server extends Omit<UpstreamValues['servers'][number], 'leaves'> {
  /** Whether discovery drains it. */
  readonly leaves?: boolean;
}

export interface L7Health {
  readonly kind: 'http' | 'tcp';
  readonly path: string;
  /** The Host header; undefined: address and port of the server. */
  readonly host: string | undefined;
  readonly status: NonNullable<UpstreamValues['health']>['status'];
  /** Undefined: the port of the server. */
  readonly port: number | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
}

export interface UpstreamTls {
  readonly serverName: string;
  /** Undefined: the authorities of the system. */
  readonly ca: PemFile | undefined;
  /** With its private key; undefined: none is shown. */
  readonly certificate: PemFile | undefined;
}

export interface L7Upstream
  extends Omit<
    UpstreamValues,
    'health' | 'tls' | 'hashOn' | 'sticky' | 'passive' | 'servers' | 'serversFrom'
  > {
  readonly name: string;
  /** Undefined where people write the servers. */
  readonly serversFrom?: ServersFrom | undefined;
  readonly servers: readonly L7Server[];
  /** Set when `balance` is hash. */
  readonly hashOn: HashOn | undefined;
  /** Name of the cookie; undefined: not sticky. */
  readonly stickyCookie: string | undefined;
  /** Undefined when servers are not checked. */
  readonly health: L7Health | undefined;
  /** Errors in a row that take a server out; undefined: none do. */
  readonly passiveErrors: number | undefined;
  readonly tls: UpstreamTls | undefined;
}

export interface L7Config
  extends Omit<Values, 'key' | 'keyFile' | 'acme' | 'frontends' | 'upstreams' | 'metrics'> {
  /** The subkey of the tier, 32 bytes; undefined when nothing needs one, or the role does not read files. */
  readonly key: Secret | undefined;
  readonly acmeThumbprint: string | undefined;
  /** Only for the role l7. */
  readonly metrics: MetricsConfig | undefined;
  readonly frontends: readonly L7Frontend[];
  readonly upstreams: readonly L7Upstream[];
}
