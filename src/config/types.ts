/**
 * The validated config, as the rest of the program sees it: resolved (defaults filled in, addresses parsed, references checked),
 * frozen, and without secrets except for one opaque key. Fields of the schema are derived from it; their `describe` explains
 * them.
 */
import { NODE_ENGINES } from '../core/engines.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';
import type { AnnounceConfig, AnnouncePlace, RegionTls } from './announce/types.js';
import type { DefendConfig } from './defend/types.js';
import type { BackendsFrom } from './discover/types.js';
import type { Place } from './document.js';
import type { ValuesOf } from './draft.js';
import type { ConfigProblem } from './error.js';
import type { FleetConfig } from './fleet/types.js';
import type { healthCheck } from './health-schema.js';
import type { L7Config } from './l7/types.js';
import type { MetricsConfig, SiblingConfig } from './metrics/types.js';
import type { FieldPath } from './path.js';
import type { agent, backend, node, pool, priorBackend, service } from './schema.js';
import type { Secret } from './secret.js';
import type { StatusCodes } from './status-codes.js';

export const ENGINE_CHOICES = ['auto', ...NODE_ENGINES] as const;
export type EngineChoice = (typeof ENGINE_CHOICES)[number];
export type Protocol = ServiceConfig['protocol'];
export type HashMode = ServiceConfig['hash'];

export interface NodeConfig
  extends Omit<
    ValuesOf<typeof node>,
    | 'name'
    | 'sources'
    | 'key'
    | 'keyFile'
    | 'keyId'
    | 'secondChancePrefix'
    | 'socket'
    | 'metrics'
    | 'siblings'
  > {
  /** The host name if the config has no name. */
  readonly name: string;
  /** Outer source addresses; at least one is present. A single address is a /32 or /128. */
  readonly source4: IpPrefix | undefined;
  readonly source6: IpPrefix | undefined;
  /** The secret in force. */
  readonly key: Secret;
  /** Others in the key file, which may come into force. */
  readonly otherKeys: readonly Secret[];
  /** Absolute path of that file; undefined where the config has the secret. */
  readonly keyFile: string | undefined;
  /** Absolute path of the control socket. */
  readonly socket: string;
  /** Only for roles that run a node, or check that one can run. */
  readonly metrics: MetricsConfig | undefined;
  /** Without this node. */
  readonly siblings: readonly SiblingConfig[];
}

export interface BackendConfig extends Omit<ValuesOf<typeof backend>, 'id' | 'leaves'> {
  /** Whether discovery drains it. */
  readonly leaves?: boolean;
  /** Names its address in GRE keys, 1 to BACKEND_ID_MAX; 0: no key can name it. */
  readonly id: number;
}

/** A backend of the prior state, with its health then. */
export interface PriorBackendConfig extends BackendConfig, Pick<ValuesOf<typeof priorBackend>, 'health'> {}

/** When a backend is checked, and how many results change its health. */
export type HealthTiming = Pick<
  ValuesOf<typeof healthCheck>,
  'intervalMs' | 'timeoutMs' | 'rise' | 'fall' | 'jitter'
>;

export interface TcpCheck {
  readonly kind: 'tcp';
  readonly port: number;
}

export interface HttpCheck {
  readonly kind: 'http' | 'https';
  readonly port: number;
  readonly path: string;
  /** The Host header; the backend's address when undefined. */
  readonly host: string | undefined;
  readonly status: StatusCodes;
  /** The first HEALTH_BODY_BYTES_MAX bytes of the body must contain it. */
  readonly body: string | undefined;
  /** Only for kind https. */
  readonly tls: TlsCheck | undefined;
}

export interface TlsCheck {
  readonly verify: boolean;
  /** For SNI and the certificate; undefined means the backend's address. */
  readonly serverName: string | undefined;
  /** Trusted certificates in PEM; undefined means the well-known ones. */
  readonly ca: string | undefined;
}

export interface UdpCheck {
  readonly kind: 'udp';
  readonly port: number;
  /** One byte per character, as in `answer`. */
  readonly payload: string;
  readonly answer: string | undefined;
}

export interface TunnelCheck {
  readonly kind: 'tunnel';
  /** Every VIP and port that the pool serves over TCP: all must answer. */
  readonly endpoints: readonly VipEndpoint[];
}

export interface VipEndpoint {
  readonly vip: IpAddress;
  readonly port: number;
}

export type HealthCheck = TcpCheck | HttpCheck | UdpCheck | TunnelCheck;
export type HealthConfig = HealthTiming & HealthCheck;

export interface PoolConfig
  extends Omit<ValuesOf<typeof pool>, 'health' | 'backends' | 'backendsFrom' | 'prior' | 'defend'> {
  readonly name: string;
  /** Undefined where people write the backends. */
  readonly backendsFrom?: BackendsFrom | undefined;
  readonly backends: readonly BackendConfig[];
  readonly prior: readonly PriorBackendConfig[] | undefined;
  /** All must pass, in the order of the file. Empty when the backends are not checked. */
  readonly health: readonly HealthConfig[];
}

export interface ServiceConfig extends Omit<ValuesOf<typeof service>, 'ports' | 'defend'> {
  /** Inclusive. */
  readonly portFirst: number;
  readonly portLast: number;
}

export interface AgentConfig extends Omit<ValuesOf<typeof agent>, 'metrics'> {
  /** Only for the role agent. */
  readonly metrics: MetricsConfig | undefined;
}

export interface Config {
  readonly file: string;
  /** Only for roles that read the key. */
  readonly node: NodeConfig | undefined;
  readonly pools: readonly PoolConfig[];
  readonly services: readonly ServiceConfig[];
  /** Undefined when the file says nothing of defence. */
  readonly defend: DefendConfig | undefined;
  readonly agent: AgentConfig | undefined;
  readonly l7: L7Config | undefined;
  /** The defaults when the file has no such section. */
  readonly announce: AnnounceConfig;
  /** Public keys of the nodes of a fleet whose findings are taken, by name. */
  readonly discoverers: ReadonlyMap<string, Uint8Array>;
  /** Whether the host is in a fleet with a store. */
  readonly isInFleet: boolean;
  /** For those who speak with the store of the fleet: the role fleet. */
  readonly fleet: FleetConfig | undefined;
  /** Only for roles that know the node's name. */
  readonly place: AnnouncePlace | undefined;
}

/** The purpose of reading the file, which decides what it must contain. */
export type Role =
  /** `anyhop run`: everything. */
  | 'run'
  /** image, replay, check: everything but the interface. */
  | 'node'
  /** which: the secret, but not interface and source, which do not influence the backend of a flow. */
  | 'flow'
  /** top --siblings: as `flow`, with the files of node.metrics, which siblings are asked with. */
  | 'siblings'
  /** `anyhop agent`: pools, services and the section `agent`. */
  | 'agent'
  /** `anyhop l7`: services and the section `l7`, with the files that it names. */
  | 'l7'
  /** `anyhop announce`: services, and the name of the node. */
  | 'announce'
  /** `anyhop announce --region`: regions, and the certificate of a DNS host. */
  | 'region'
  /** `anyhop announce --print gdnsd`: regions. */
  | 'regions'
  /** Who speaks with the store of the fleet: the section `fleet`, with the files that it names. */
  | 'fleet'
  /** table, plan: pools, and services if any. */
  | 'pools';

interface Needs {
  run: { readonly node: NodeConfig & { readonly interface: string } };
  node: { readonly node: NodeConfig };
  flow: { readonly node: NodeConfig };
  siblings: { readonly node: NodeConfig };
  agent: { readonly agent: AgentConfig };
  l7: { readonly l7: L7Config; readonly agent: AgentConfig };
  announce: { readonly place: AnnouncePlace };
  region: { readonly announce: AnnounceConfig & { readonly tls: RegionTls } };
  regions: object;
  fleet: { readonly fleet: FleetConfig };
  pools: object;
}

/** A config with what the role needs. */
export type LoadedConfig<R extends Role = 'pools'> = Config &
  Needs[R] & {
    /** Likely mistakes that are allowed, by place. */
    readonly warnings: readonly ConfigProblem[];
    /** Files that this user may not read, by the fields that name them; stand-ins are in their place. Empty unless it was asked for. */
    readonly unread: readonly ConfigProblem[];
    /** Where a field stands in the file, for problems that show only later. */
    readonly placeOf: (path: FieldPath) => Place;
  };
