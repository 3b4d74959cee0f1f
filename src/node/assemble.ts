/**
 * From pool states to an image: tables, the paths to the backends, all put together. The one place where the control side's stages
 * meet.
 */
import type { DefendConfig } from '../config/defend/types.js';
import type { Secret } from '../config/secret.js';
import type {
  BackendConfig,
  Config,
  HashMode,
  NodeConfig,
  Protocol,
  ServiceConfig,
} from '../config/types.js';
import { L } from '../core/layout.gen.js';
import { deriveFlowKey, type FlowKey } from '../hash/key.js';
import { buildImage, type FormerKey } from '../image/build.js';
import { Numbers } from '../image/numbers.js';
import { Image } from '../image/read.js';
import type { IpAddress } from '../packet/address.js';
import { NODE_MAC } from '../packet/mac.js';
import type { Path } from '../packet/path.js';
import { holderKeys, slotKeys } from '../packet/second-chance-key.js';
import { type NamedStates, type StateMember, statesOfConfig } from '../pool/states.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import { imageDefence } from './image-defence.js';

/** What packets are forwarded by. */
export interface Served {
  readonly services: readonly ServiceConfig[];
  readonly pools: readonly NamedStates[];
  readonly defend?: DefendConfig | undefined;
  /** A secret that flows were hashed with before, by its fingerprint; undefined when this node has it no more. */
  readonly formerKey?: ((id: string) => Secret | undefined) | undefined;
}

/** As a file has it: every backend is up and can be reached. */
export function servedOf({
  services,
  pools,
  defend,
}: Pick<Config, 'services' | 'pools'> & Partial<Pick<Config, 'defend'>>): Served {
  return { services, defend, pools: pools.map((pool) => statesOfConfig(pool)) };
}

export interface AssembleOptions {
  /** Only rises. */
  readonly generation: number;
  /** The path to each member, remembered ones included; one without a path gets no packet, even where the tables name it. */
  readonly path: (backend: StateMember) => Path | undefined;
  /** Whether the agent of a member takes SYN cookies of this node; none when left out. */
  readonly takesCookies?: (backend: StateMember) => boolean;
  /** The interface's address; frames for another pass untouched. Undefined accepts all. */
  readonly mac?: Uint8Array | undefined;
  /** The host's other addresses on the interface, at most OTHER_MACS_MAX. */
  readonly otherMacs?: readonly Uint8Array[];
  /** Counter numbers given out before: whoever assembles more than once keeps these. */
  readonly numbers?: CounterNumbers;
  /**
   * What was assembled before: its layers are used again where members, weights and slots are the same, its tables where
   * health is too, and its flow keys. 1000 backends, one of them gone: 3 ms instead of 15.
   */
  readonly previous?: Assembly;
}

export interface CounterNumbers {
  readonly services: Numbers;
  readonly backends: Numbers;
}

export interface AssembledPool extends NamedStates {
  readonly tables: PoolTables<StateMember>;
  /** The GRE key of each slot, if a service of the pool has second chance. */
  readonly keys: Uint32Array | undefined;
  /** While the flow hash key changes: who may hold the connections of each slot of the former one. */
  readonly holders: Uint32Array | undefined;
}

export interface Assembly {
  readonly image: Image;
  readonly pools: readonly AssembledPool[];
  /** In the order of the config. */
  readonly services: readonly ServiceConfig[];
  /** Rules of defence, and what they need; undefined without any. */
  readonly defend: DefendConfig | undefined;
  /** To the members of the tables, as they were then. */
  readonly paths: ReadonlyMap<StateMember, Path | undefined>;
  /** Services by name, backends as `pool/backend`. */
  readonly numbers: CounterNumbers;
  readonly flowKeys: FlowKeys;
  /** Of former secrets. */
  readonly formerKeys: readonly FlowKeys[];
}

/** Builds tables and image. What is served comes from a config that was loaded: its references resolve and its limits hold. */
export function assemble(served: Served, node: NodeConfig, options: AssembleOptions): Assembly {
  const former = new Map(options.previous?.pools.map((pool) => [pool.name, pool]));
  const keyed = keyedPools(served.services);
  const pools = served.pools.map((states) =>
    assemblePool(states, keyed.has(states.name), former.get(states.name)),
  );
  const paths = new Map<StateMember, Path | undefined>();
  for (const { tables } of pools)
    for (const member of tables.members) paths.set(member, options.path(member));
  const { services: ofServices = new Numbers(), backends: ofBackends = new Numbers() } =
    options.numbers ?? {};
  // Numbers are given out before their names are read.
  const numbers = {
    services: ofServices.roomFor(served.services.map(({ name }) => name)),
    backends: ofBackends.roomFor(
      pools.flatMap(({ name: pool, tables }) => tables.names.map((name) => `${pool}/${name}`)),
    ),
  };
  const backendNumbers = pools.map(({ name: pool, tables }) =>
    tables.names.map((name) => numbers.backends.of(`${pool}/${name}`)),
  );
  const { flowKeys: known } = options.previous ?? {};
  const flowKeys = known?.secret === node.key ? known : new FlowKeys(node.key);
  const formerKeys = formerKeysOf(served, options.previous);
  const defence = imageDefence(served.defend, node);
  const serviceCounters = served.services.map(({ name }) => numbers.services.of(name));
  const image = new Image(
    buildImage({
      generation: options.generation,
      mac: options.mac,
      otherMacs: options.otherMacs ?? [],
      source4: node.source4,
      source6: node.source6,
      pools: pools.map(({ name: pool, tables, keys, holders, formerKey }, index) => ({
        name: pool,
        owners: tables.owners,
        keys,
        former: formerOf(holders, formerKey === undefined ? undefined : formerKeys.get(formerKey)),
        backends: tables.members.map((backend, member) => {
          const path = paths.get(backend);
          return {
            name: `${pool}/${backend.name}`,
            address: backend.address,
            agent: backend.agent,
            id: backend.id,
            ...(path ?? NO_PATH),
            isReachable: path !== undefined,
            cookies: options.takesCookies?.(backend) ?? false,
            counter: backendNumbers[index][member],
          };
        }),
      })),
      services: served.services,
      serviceCounters,
      counterNames: { services: numbers.services.names(), backends: numbers.backends.names() },
      flowKey: (mode, protocol, vip) => flowKeys.of(mode, protocol, vip),
      ...defence,
    }),
  );
  const { services, defend } = served;
  return { image, pools, services, defend, paths, numbers, flowKeys, formerKeys: [...formerKeys.values()] };
}

/** By fingerprint, the former keys of pools whose key changes. */
function formerKeysOf({ pools, formerKey }: Served, previous: Assembly | undefined): Map<string, FlowKeys> {
  const ids = new Set(pools.flatMap((pool) => pool.formerKey ?? []));
  return new Map(
    [...ids].flatMap((id) => {
      const secret = formerKey?.(id);
      if (secret === undefined) return [];
      const known = previous && [previous.flowKeys, ...previous.formerKeys];
      return [[id, known?.find((keys) => keys.secret === secret) ?? new FlowKeys(secret)] as const];
    }),
  );
}

function formerOf(holders: Uint32Array | undefined, keys: FlowKeys | undefined): FormerKey | undefined {
  return holders && keys && { holders, flowKey: (mode, protocol, vip) => keys.of(mode, protocol, vip) };
}

/** In the place of a path that is not known; never sent by. */
const NO_PATH: Path = {
  mtu: L.PATH_MTU_MIN,
  interfaceIndex: 0,
  sourceMac: new Uint8Array(6),
  destinationMac: new Uint8Array(6),
  vlan: undefined,
};

/** @param before the same pool as it was assembled before */
function assemblePool(
  states: NamedStates,
  isKeyed: boolean,
  before: AssembledPool | undefined,
): AssembledPool {
  if (before !== undefined && isSame(before, states) && (before.keys !== undefined) === isKeyed)
    return before;
  const tables = resolvePool({ ...states, before: before?.tables });
  const { members, owners, alternates, holders } = tables;
  return {
    ...states,
    tables,
    keys: isKeyed ? slotKeys(members, owners, alternates) : undefined,
    holders: isKeyed && holders ? holderKeys(members, holders) : undefined,
  };
}

function isSame(one: NamedStates, other: NamedStates): boolean {
  return (
    one.slots === other.slots &&
    one.panicThreshold === other.panicThreshold &&
    one.formerKey === other.formerKey &&
    hasSameMembers(one.state, other.state) &&
    hasSameStates(one.remembered, other.remembered) &&
    hasSameStates(one.underFormerKey ?? [], other.underFormerKey ?? [])
  );
}

function hasSameStates(some: NamedStates['remembered'], others: NamedStates['remembered']): boolean {
  return some.length === others.length && some.every((state, i) => hasSameMembers(state, others[i]));
}

/** In the same order. */
function hasSameMembers(some: readonly StateMember[], others: readonly StateMember[]): boolean {
  if (some === others) return true;
  return (
    some.length === others.length &&
    some.every((one, i) => {
      const other = others[i];
      return (
        one.name === other.name &&
        one.weight === other.weight &&
        one.state === other.state &&
        one.health === other.health &&
        one.drained === other.drained &&
        one.unreachable === other.unreachable &&
        one.agent === other.agent &&
        one.id === other.id &&
        one.address.text === other.address.text
      );
    })
  );
}

/** The pools of services with second chance. */
export function keyedPools(services: readonly ServiceConfig[]): ReadonlySet<string> {
  return new Set(services.flatMap(({ secondChance, pool }) => (secondChance ? [pool] : [])));
}

/** Keys are derived once each: 0.1 ms, and fragments of several services may share one. */
class FlowKeys {
  readonly secret: Secret;
  readonly #keys = new Map<string, FlowKey>();

  constructor(secret: Secret) {
    this.secret = secret;
  }

  of(mode: HashMode, protocol: Protocol, vip: IpAddress): FlowKey {
    const name = `${mode} ${protocol} ${vip.text}`;
    const key = this.#keys.get(name) ?? deriveFlowKey(this.secret.reveal(), mode, protocol, vip);
    this.#keys.set(name, key);
    return key;
  }
}

/** The path that `replay`, `which` and `image` assume: no real underlay is asked. */
export function fixedPath(mtu: number): (backend: BackendConfig) => Path {
  return (backend) => ({
    mtu,
    interfaceIndex: 0,
    sourceMac: NODE_MAC,
    // The last four bytes of the backend's address tell the destinations apart.
    destinationMac: Uint8Array.of(0x02, 0x01, ...backend.address.bytes.subarray(-4)),
    vlan: undefined,
  });
}
