/**
 * The validated config: what the rest of the program sees of the YAML file. Everything is resolved (defaults filled
 * in, addresses parsed, references checked), frozen, and free of secrets except for one opaque key.
 */
import type { IpAddress, IpPrefix } from '../packet/address.js';
import type { Secret } from './secret.js';

export type EngineChoice = 'auto' | 'portable';
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

export interface PoolConfig {
  readonly name: string;
  /** M, prime. */
  readonly tableSize: number;
  /** Share of active backends (0 to 1) below which health marks are ignored; 0 never. */
  readonly panicThreshold: number;
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
}

export interface Config {
  /** Path of the file that it was read from. */
  readonly file: string;
  /** Absent only when the config was loaded for a use that needs no node and the file tells of none. */
  readonly node: NodeConfig | undefined;
  readonly pools: readonly PoolConfig[];
  readonly services: readonly ServiceConfig[];
  readonly agent: AgentConfig | undefined;
}
