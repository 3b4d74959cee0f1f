/**
 * The validated config: what the rest of the program sees of the YAML file. Everything is resolved (defaults filled
 * in, addresses parsed, references checked), frozen, and free of secrets except for one opaque key.
 */
import type { IpAddress, IpPrefix } from '../packet/address.js';
import type { ConfigProblem } from './error.js';
import type { Secret } from './secret.js';
import type { StatusCodes } from './status-codes.js';

export const ENGINE_CHOICES = ['auto', 'xdp', 'af_xdp', 'portable'] as const;
export type EngineChoice = (typeof ENGINE_CHOICES)[number];
export type Protocol = 'tcp' | 'udp';
export type HashMode = '5-tuple' | '3-tuple' | 'source';

export interface NodeConfig {
  /** The host's name when the config does not say. */
  readonly name: string;
  /** Always present when the config was loaded for `run`. */
  readonly interface: string | undefined;
  readonly engine: EngineChoice;
  /** Outer source addresses; at least one is present. A single address is a /32 or /128 prefix. */
  readonly source4: IpPrefix | undefined;
  readonly source6: IpPrefix | undefined;
  readonly key: Secret;
  /** The /96 whose low 32 bits name an IPv6 backend in a GRE key (RFC 2890). */
  readonly secondChancePrefix: IpPrefix | undefined;
  /** Time that an idle `af_xdp` worker polls before it sleeps, in microseconds. */
  readonly busyPollUs: number;
  /** Absolute path of a directory where a BPF file system is or can be mounted; `xdp` pins under it. */
  readonly bpffs: string;
  /** Absolute path of the control socket. */
  readonly socket: string;
  /** Absolute path of the directory for what outlives the process. */
  readonly stateDirectory: string;
  /** Whether VIPs may be addresses of this host. */
  readonly localVips: boolean;
  /** How long a node that is told to stop forwards on, not ready. */
  readonly stopDelayMs: number;
}

export interface BackendConfig {
  readonly name: string;
  /** Underlay address that GRE packets are sent to. */
  readonly address: IpAddress;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  /** Runs `anyhop agent`; false for a plain kernel tunnel, which never gets a GRE key. */
  readonly agent: boolean;
}

/** A member of the prior state; it has its own health mark because that state is over. */
export interface PriorBackendConfig extends BackendConfig {
  readonly health: 'up' | 'down';
}

/** One check of a backend, and what its results are worth. */
export interface HealthTiming {
  readonly intervalMs: number;
  /** Of a whole check; at most the interval less its jitter, so that no two checks of a backend overlap. */
  readonly timeoutMs: number;
  /** Results in a row that change the mark: 1 or more. */
  readonly rise: number;
  readonly fall: number;
  /** Share of the interval, 0 to 0.5, by which a check may come late. */
  readonly jitter: number;
}

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

export interface PoolConfig {
  readonly name: string;
  /** M, prime. */
  readonly tableSize: number;
  /** Share of active backends (0 to 1) below which health marks are ignored; 0 never. */
  readonly panicThreshold: number;
  /** Undefined when the backends are not checked. */
  readonly health: HealthConfig | undefined;
  /** A backend that has been down for longer is `dead`. */
  readonly deadAfterMs: number;
  /** How long a change is remembered, and how long the next planned one waits. */
  readonly settleMs: number;
  /** After so long a drain counts as done. */
  readonly drainDeadlineMs: number;
  /** In the order of the file. */
  readonly backends: readonly BackendConfig[];
  readonly prior: readonly PriorBackendConfig[] | undefined;
}

export interface ServiceConfig {
  readonly name: string;
  readonly vip: IpAddress;
  readonly protocol: Protocol;
  /** Both included. */
  readonly portFirst: number;
  readonly portLast: number;
  readonly pool: string;
  readonly hash: HashMode;
  readonly secondChance: boolean;
}

export interface AgentConfig {
  readonly interface: string | undefined;
  /** GRE is accepted from these alone, and from the pools' backends. */
  readonly forwarders: readonly IpPrefix[];
  /** Where the agent pins its program and counters: a directory where a BPF file system is or can be mounted. */
  readonly bpffs: string;
  /** TCP port of the agents' reports. */
  readonly reportPort: number;
  /** Whether packets for VIPs that the host does not have are passed to it too: its DNAT rules or routes know what to do. */
  readonly vipElsewhere: boolean;
}

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
