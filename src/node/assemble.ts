/**
 * From a validated config to an image: pool states, tables, the ways to the backends, all put together. The one place
 * where the control side's stages meet.
 */
import type { Secret } from '../config/secret.js';
import type {
  BackendConfig,
  Config,
  HashMode,
  NodeConfig,
  PoolConfig,
  Protocol,
  ServiceConfig,
} from '../config/types.js';
import { L } from '../core/layout.gen.js';
import { deriveFlowKey, type FlowKey } from '../hash/key.js';
import { buildImage } from '../image/build.js';
import { Numbers } from '../image/numbers.js';
import { Image } from '../image/read.js';
import type { IpAddress } from '../packet/address.js';
import { NODE_MAC } from '../packet/mac.js';
import type { BackendPath } from '../packet/path.js';
import { poolStatesFromConfig } from '../pool/from-config.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import type { Health, PoolState } from '../table/state.js';

/** How one backend is reached: the part of a BackendPath that the underlay decides. */
export type Way = Pick<BackendPath, 'mtu' | 'interfaceIndex' | 'sourceMac' | 'destinationMac' | 'vlan'>;

export interface AssembleOptions {
  /** Only rises. */
  readonly generation: number;
  /** The way to each backend, members of prior states included; one without a way counts as down. */
  readonly way: (backend: BackendConfig) => Way | undefined;
  /**
   * The health mark of a present member; up when not given. One that is not up by its mark alone can be sent to all the same,
   * when panic or need makes it an owner.
   */
  readonly health?: (pool: PoolConfig, backend: BackendConfig) => Health;
  /** Whether a present member that drains has no connection left; not so when not given. */
  readonly drained?: (pool: PoolConfig, backend: BackendConfig) => boolean;
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

export interface AssembledPool {
  readonly config: PoolConfig;
  /** What the tables are of, in the order of the config. */
  readonly state: PoolState;
  readonly prior: PoolState | undefined;
  readonly tables: PoolTables;
  /** In the order of `tables.names`, which is that of the image. */
  readonly backends: readonly BackendConfig[];
}

export interface Assembly {
  readonly image: Image;
  readonly pools: readonly AssembledPool[];
  /** In the order of the config. */
  readonly services: readonly ServiceConfig[];
  /** To the members of the pools, present and prior, as they were then. */
  readonly ways: ReadonlyMap<BackendConfig, Way | undefined>;
  /** Services by name, backends as `pool/backend`. */
  readonly numbers: CounterNumbers;
  readonly flowKeys: FlowKeys;
}

/** Builds tables and image anew. The config is one that was loaded: its references resolve and its limits hold. */
export function assemble(config: Config, node: NodeConfig, options: AssembleOptions): Assembly {
  // Asked once a backend, so that tables and templates are of one moment.
  const ways = new Map<BackendConfig, Way | undefined>();
  const wayTo = (backend: BackendConfig): Way | undefined => {
    if (!ways.has(backend)) ways.set(backend, hasSource(backend) ? options.way(backend) : undefined);
    return ways.get(backend);
  };
  // A file without is refused; one of the prior state may be of a family that the node has given up.
  const hasSource = ({ address }: BackendConfig): boolean =>
    (address.family === 4 ? node.source4 : node.source6) !== undefined;
  const pools = config.pools.map((pool): AssembledPool => {
    const healthOf = (backend: BackendConfig): Health => {
      const health = options.health?.(pool, backend) ?? 'up';
      return health === 'up' && wayTo(backend) === undefined ? 'down' : health;
    };
    const isDrained = (backend: BackendConfig): boolean => options.drained?.(pool, backend) === true;
    const isReachable = (backend: BackendConfig): boolean => wayTo(backend) !== undefined;
    const { state, prior } = poolStatesFromConfig(pool, healthOf, isDrained, isReachable);
    const before = options.previous?.pools.find(({ config: { name } }) => name === pool.name);
    // Nothing that its tables come from has changed.
    if (
      before?.config === pool &&
      sameMarks(before.state, state) &&
      sameMarks(before.prior ?? [], prior ?? [])
    )
      return before;
    const tables = resolvePool({
      slots: pool.tableSize,
      state,
      prior,
      panicThreshold: pool.panicThreshold,
      stack: before?.tables.stack,
      priorStack: before?.tables.priorStack,
    });
    const members = membersByName(pool);
    return { config: pool, state, prior, tables, backends: tables.names.map((name) => members.get(name)!) };
  });
  const { services: ofServices = new Numbers(), backends: ofBackends = new Numbers() } =
    options.numbers ?? {};
  // Numbers are given out before their names are read.
  const numbers = {
    services: ofServices.roomFor(config.services.map(({ name }) => name)),
    backends: ofBackends.roomFor(
      pools.flatMap(({ config: pool, backends }) => backends.map(({ name }) => `${pool.name}/${name}`)),
    ),
  };
  const backendNumbers = pools.map(({ config: pool, backends }) =>
    backends.map(({ name }) => numbers.backends.of(`${pool.name}/${name}`)),
  );
  const { flowKeys: known } = options.previous ?? {};
  const flowKeys = known?.secret === node.key ? known : new FlowKeys(node.key);
  const serviceCounters = config.services.map(({ name }) => numbers.services.of(name));
  const image = new Image(
    buildImage({
      generation: options.generation,
      mac: options.mac,
      otherMacs: options.otherMacs ?? [],
      source4: node.source4,
      source6: node.source6,
      pools: pools.map(({ config: pool, tables, backends }, index) => ({
        name: pool.name,
        owners: tables.owners,
        alternates: tables.alternates,
        backends: backends.map((backend, member) => {
          const way = wayTo(backend);
          return {
            name: `${pool.name}/${backend.name}`,
            address: backend.address,
            agent: backend.agent,
            ...(way ?? NO_WAY),
            isReachable: way !== undefined,
            counter: backendNumbers[index][member],
          };
        }),
      })),
      services: config.services,
      serviceCounters,
      counterNames: { services: numbers.services.names(), backends: numbers.backends.names() },
      flowKey: (mode, protocol, vip) => flowKeys.of(mode, protocol, vip),
    }),
  );
  return { image, pools, services: config.services, ways, numbers, flowKeys };
}

/** In the place of a way that is not known; never sent by. */
const NO_WAY: Way = {
  mtu: L.PATH_MTU_MIN,
  interfaceIndex: 0,
  sourceMac: new Uint8Array(6),
  destinationMac: new Uint8Array(6),
  vlan: undefined,
};

/** The members by name; one that is present comes before what the prior state said of it. */
function membersByName(pool: PoolConfig): Map<string, BackendConfig> {
  return new Map([...(pool.prior ?? []), ...pool.backends].map((backend) => [backend.name, backend]));
}

/** Whether two states of one pool, in one order, have the same marks. */
function sameMarks(one: PoolState, other: PoolState): boolean {
  return one.every(
    ({ health, drained, unreachable }, i) =>
      health === other[i].health && drained === other[i].drained && unreachable === other[i].unreachable,
  );
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

/** The way that `replay`, `which` and `image` assume: no real underlay is asked. */
export function fixedWay(mtu: number): (backend: BackendConfig) => Way {
  return (backend) => ({
    mtu,
    interfaceIndex: 0,
    sourceMac: NODE_MAC,
    // The last four bytes of the backend's address tell the destinations apart.
    destinationMac: Uint8Array.of(0x02, 0x01, ...backend.address.bytes.subarray(-4)),
    vlan: undefined,
  });
}
