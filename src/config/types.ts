/**
 * The validated config: what the rest of the program sees of the YAML file. Everything is resolved (defaults filled
 * in, addresses parsed, references checked), frozen, and free of secrets except for one opaque key.
 */
import { NODE_ENGINES } from '../core/engines.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';
import type { ValuesOf } from './draft.js';
import type { ConfigProblem } from './error.js';
import type { health } from './health-schema.js';
import type { agent, backend, node, pool, priorBackend, service } from './schema.js';
import type { Secret } from './secret.js';
import type { StatusCodes } from './status-codes.js';

export const ENGINE_CHOICES = ['auto', ...NODE_ENGINES] as const;
export type EngineChoice = (typeof ENGINE_CHOICES)[number];
export type Protocol = ServiceConfig['protocol'];
export type HashMode = ServiceConfig['hash'];

export interface NodeConfig
  extends Omit<ValuesOf<typeof node>, 'name' | 'sources' | 'key' | 'keyFile' | 'socket'> {
  /** The host's name when the config does not say. */
  readonly name: string;
  /** Outer source addresses; at least one is present. A single address is a /32 or /128 prefix. */
  readonly source4: IpPrefix | undefined;
  readonly source6: IpPrefix | undefined;
  readonly key: Secret;
  /** Absolute path of the control socket. */
  readonly socket: string;
}

export interface BackendConfig extends ValuesOf<typeof backend> {}

/** A member of the prior state; it has its own health mark because that state is over. */
export interface PriorBackendConfig extends ValuesOf<typeof priorBackend> {}

/** One check of a backend, and what its results are worth. */
export type HealthTiming = Pick<
  ValuesOf<typeof health>,
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
  /** Must stand in the body's first HEALTH_BODY_BYTES_MAX. */
  readonly body: string | undefined;
  /** Of kind https alone. */
  readonly tls: TlsCheck | undefined;
}

export interface TlsCheck {
  readonly verify: boolean;
  /** For SNI and the certificate; undefined to be checked by the backend's address. */
  readonly serverName: string | undefined;
  /** Trusted certificates in PEM; the well-known ones when undefined. */
  readonly ca: string | undefined;
}

export interface UdpCheck {
  readonly kind: 'udp';
  readonly port: number;
  /** Each character a byte, as in `answer`. */
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

export interface PoolConfig extends Omit<ValuesOf<typeof pool>, 'health'> {
  readonly name: string;
  /** Undefined when the backends are not checked. */
  readonly health: HealthConfig | undefined;
}

export interface ServiceConfig extends Omit<ValuesOf<typeof service>, 'ports'> {
  /** Both included. */
  readonly portFirst: number;
  readonly portLast: number;
}

export interface AgentConfig extends ValuesOf<typeof agent> {}

export interface Config {
  /** Path of the file that it was read from. */
  readonly file: string;
  /** Present when loaded for `run` or `node`; other uses do not read the key, so they get no node. */
  readonly node: NodeConfig | undefined;
  readonly pools: readonly PoolConfig[];
  readonly services: readonly ServiceConfig[];
  readonly agent: AgentConfig | undefined;
}

/** Who reads the file, which decides what must be in it. */
export type Role =
  /** `anyhop run`: everything. */
  | 'run'
  /** image, replay, check: all but the interface. */
  | 'node'
  /** which: the secret, and neither interface nor source: where a flow goes does not depend on these. */
  | 'flow'
  /** `anyhop agent`: pools, services and the section `agent`. */
  | 'agent'
  /** table, plan: pools; services when there are some. */
  | 'pools';

interface Needs {
  run: { readonly node: NodeConfig & { readonly interface: string } };
  node: { readonly node: NodeConfig };
  flow: { readonly node: NodeConfig };
  agent: { readonly agent: AgentConfig };
  pools: object;
}

/** A config that was read for a role: what the role needs is there. */
export type LoadedConfig<R extends Role = 'pools'> = Config &
  Needs[R] & {
    /** What is allowed and most likely not meant, by place. */
    readonly warnings: readonly ConfigProblem[];
  };
