/**
 * The config between shape and rules: parsed addresses, defaults filled in, every value with the place it came from,
 * and what was missing or wrong left out, so that each rule judges what there is.
 */
import {
  AGENT_REPORT_PORT_DEFAULT,
  BPFFS_DEFAULT,
  BUSY_POLL_US_DEFAULT,
  DEAD_AFTER_MS_DEFAULT,
  DRAIN_DEADLINE_MS_DEFAULT,
  SETTLE_MS_DEFAULT,
  STATE_DIRECTORY_DEFAULT,
  TABLE_SIZE_DEFAULT,
} from '../core/limits.js';
import { parseDuration } from '../core/time.js';
import { type IpAddress, type IpPrefix, parseAddress, parsePrefix } from '../packet/address.js';
import { type DraftHealth, draftHealth } from './draft-health.js';
import type { FieldPath } from './path.js';
import { type PortRange, parsePorts } from './ports.js';
import type { At } from './problems.js';
import type { ConfigInput } from './schema.js';
import type { Partially } from './shape.js';
import type { EngineChoice, HashMode, Protocol } from './types.js';

export interface DraftSource {
  readonly at: At;
  readonly prefix: IpPrefix;
}

export interface DraftNode {
  readonly path: FieldPath;
  readonly name: string | undefined;
  readonly interface: string | undefined;
  readonly engine: EngineChoice;
  readonly sources: readonly DraftSource[];
  /** Whether `sources` is all that was given; false when some entry was wrong. */
  readonly sourcesWhole: boolean;
  readonly keyFile: string | undefined;
  readonly key: string | undefined;
  readonly secondChancePrefix: IpPrefix | undefined;
  readonly busyPollUs: number;
  readonly bpffs: string;
  readonly socket: string | undefined;
  readonly stateDirectory: string;
  readonly localVips: boolean;
  readonly stopDelayMs: number;
  /** The fields that the file tells of, well or badly. */
  readonly written: ReadonlySet<string>;
}

export interface DraftBackend {
  readonly path: FieldPath;
  readonly name: string | undefined;
  readonly address: IpAddress | undefined;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  readonly agent: boolean;
  /** Of members of the prior state. */
  readonly health: 'up' | 'down';
}

export interface DraftPool {
  readonly path: FieldPath;
  readonly name: string;
  readonly tableSize: number;
  readonly panicThreshold: number;
  readonly health: DraftHealth | undefined;
  readonly deadAfterMs: number;
  readonly settleMs: number;
  readonly drainDeadlineMs: number;
  readonly backends: readonly DraftBackend[];
  readonly prior: readonly DraftBackend[] | undefined;
}

export interface DraftService {
  readonly path: FieldPath;
  readonly name: string | undefined;
  readonly vip: IpAddress | undefined;
  readonly protocol: Protocol | undefined;
  readonly ports: PortRange | undefined;
  readonly pool: string | undefined;
  readonly hash: HashMode;
  readonly secondChance: boolean;
}

export interface DraftAgent {
  readonly path: FieldPath;
  readonly interface: string | undefined;
  readonly bpffs: string;
  readonly reportPort: number;
  readonly vipElsewhere: boolean;
  readonly forwarders: readonly { readonly path: FieldPath; readonly prefix: IpPrefix }[];
}

export interface Draft {
  readonly node: DraftNode | undefined;
  readonly pools: readonly DraftPool[];
  readonly services: readonly DraftService[];
  readonly agent: DraftAgent | undefined;
  /** The sections that the file has, well or badly written. */
  readonly written: ReadonlySet<string>;
  /** Of all pools, also badly written ones; undefined when `pools` is no mapping. */
  readonly poolNames: ReadonlySet<string> | undefined;
  /** Of all services, also badly written ones; undefined when `services` is no list. */
  readonly serviceCount: number | undefined;
}

type Part<K extends keyof ConfigInput> = Partially<NonNullable<ConfigInput[K]>>;
type PoolInput = Part<'pools'>[string];
type BackendInput = Partially<
  NonNullable<NonNullable<NonNullable<ConfigInput['pools'][string]>['prior']>[number]>
>;

export function draftConfig(input: Partially<ConfigInput>): Draft {
  return {
    node: input.node && draftNode(input.node),
    pools: Object.entries(input.pools ?? {}).flatMap(([name, pool]) => draftPool(name, pool)),
    services: (input.services ?? []).flatMap((service, index) => draftService(index, service)),
    agent: input.agent && draftAgent(input.agent),
    written: new Set(Object.keys(input)),
    poolNames: input.pools && new Set(Object.keys(input.pools)),
    serviceCount: input.services?.length,
  };
}

function draftNode(node: Part<'node'>): DraftNode {
  const path = ['node'];
  const { source } = node;
  const texts = typeof source === 'string' ? [source] : (source ?? []);
  const sources = texts.flatMap((text, index) => {
    const at = typeof source === 'string' ? [...path, 'source'] : [...path, 'source', index];
    const prefix = text === undefined ? undefined : parsePrefix(text);
    return prefix === undefined ? [] : { at, prefix };
  });
  return {
    path,
    name: node.name,
    interface: node.interface,
    engine: node.engine ?? 'auto',
    sources,
    sourcesWhole: sources.length > 0 && sources.length === texts.length,
    keyFile: node.key_file,
    key: node.key,
    secondChancePrefix:
      node.second_chance_prefix === undefined ? undefined : parsePrefix(node.second_chance_prefix),
    busyPollUs: node.busy_poll_us ?? BUSY_POLL_US_DEFAULT,
    bpffs: node.bpffs ?? BPFFS_DEFAULT,
    socket: node.socket,
    stateDirectory: node.state_dir ?? STATE_DIRECTORY_DEFAULT,
    localVips: node.local_vips ?? false,
    stopDelayMs: durationMs(node.stop_delay, 0),
    written: new Set(Object.keys(node)),
  };
}

function draftPool(name: string, pool: PoolInput): DraftPool | [] {
  if (pool === undefined) return [];
  const path = ['pools', name];
  return {
    path,
    name,
    tableSize: pool.table_size ?? TABLE_SIZE_DEFAULT,
    panicThreshold: pool.panic_threshold ?? 0,
    health: pool.health && draftHealth([...path, 'health'], pool.health),
    deadAfterMs: durationMs(pool.dead_after, DEAD_AFTER_MS_DEFAULT),
    settleMs: durationMs(pool.settle_time, SETTLE_MS_DEFAULT),
    drainDeadlineMs: durationMs(pool.drain_deadline, DRAIN_DEADLINE_MS_DEFAULT),
    backends: draftBackends([...path, 'backends'], pool.backends ?? []),
    prior: pool.prior && draftBackends([...path, 'prior'], pool.prior),
  };
}

/** Of a text whose shape was checked. */
function durationMs(text: string | undefined, defaultMs: number): number {
  return text === undefined ? defaultMs : parseDuration(text)!;
}

function draftBackends(path: FieldPath, backends: readonly (BackendInput | undefined)[]): DraftBackend[] {
  return backends.map((backend, index) => ({
    path: [...path, index],
    name: backend?.name,
    address: backend?.address === undefined ? undefined : parseAddress(backend.address),
    weight: backend?.weight ?? 1,
    state: backend?.state ?? 'active',
    agent: backend?.agent ?? true,
    health: backend?.health ?? 'up',
  }));
}

function draftService(index: number, service: Part<'services'>[number]): DraftService | [] {
  if (service === undefined) return [];
  return {
    path: ['services', index],
    name: service.name,
    vip: service.vip === undefined ? undefined : parseAddress(service.vip),
    protocol: service.protocol,
    ports: service.port === undefined ? undefined : parsePorts(service.port),
    pool: service.pool,
    hash: service.hash ?? '5-tuple',
    secondChance: service.second_chance === 'on',
  };
}

function draftAgent(agent: Part<'agent'>): DraftAgent {
  const path = ['agent'];
  return {
    path,
    interface: agent.interface,
    bpffs: agent.bpffs ?? BPFFS_DEFAULT,
    reportPort: agent.report_port ?? AGENT_REPORT_PORT_DEFAULT,
    vipElsewhere: agent.vip_elsewhere ?? false,
    forwarders: (agent.forwarders ?? []).flatMap((text, index) => {
      const prefix = text === undefined ? undefined : parsePrefix(text);
      return prefix === undefined ? [] : { path: [...path, 'forwarders', index], prefix };
    }),
  };
}
