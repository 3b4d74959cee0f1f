/**
 * A small node for tests of the packet side: an image out of a few words, and a pipeline with memory around it that
 * runs one frame and says what came of it.
 */
import type { DefendRules } from '#anyhop/config/defend/types.js';
import type { HashMode, ServiceConfig } from '#anyhop/config/types.js';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { deriveFlowKey, flowKeyFor } from '#anyhop/hash/key.js';
import { buildImage, type ImageInput, type ImagePool } from '#anyhop/image/build.js';
import { Image } from '#anyhop/image/read.js';
import { type IpPrefix, parseAddress, parsePrefix } from '#anyhop/packet/address.js';
import type { BackendPath } from '#anyhop/packet/path.js';
import { defaultId, holderKeys, slotKeys } from '#anyhop/packet/second-chance-key.js';

export const VIP4 = '203.0.113.10';
export const VIP6 = '2001:db8:100::10';
export const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i);

export interface FixtureService {
  readonly vip: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number | readonly [number, number];
  readonly pool?: string;
  readonly hash?: HashMode;
  readonly secondChance?: boolean;
}

export interface FixtureBackend {
  readonly address: string;
  readonly agent?: boolean;
  /** Default: the low 15 bits of the address. */
  readonly id?: number;
  readonly mtu?: number;
  readonly vlan?: number;
  readonly interfaceIndex?: number;
  readonly isReachable?: boolean;
  readonly cookies?: boolean;
}

export interface FixtureOptions {
  readonly pools?: Record<string, readonly FixtureBackend[]>;
  readonly services?: readonly FixtureService[];
  readonly source4?: string;
  readonly source6?: string;
  readonly mac?: Uint8Array;
  readonly otherMacs?: readonly Uint8Array[];
  readonly slots?: number;
  /** Index of the owner of a slot, and of its alternates; L.NONE for none. */
  readonly owner?: (slot: number, backends: number) => number;
  readonly alternate?: (slot: number, backends: number) => number;
  readonly second?: (slot: number, backends: number) => number;
  /** While the flow hash key changes: the one before, and who may hold the connections of its slots. */
  readonly former?: {
    readonly secret: Uint8Array;
    readonly holders: (slot: number, backends: number) => readonly [number, number];
  };
  readonly generation?: number;
  readonly cookieKey?: Uint8Array;
  /** Of services by their number. */
  readonly rules?: readonly (DefendRules | undefined)[];
  /** Of the hash of sources. */
  readonly rulesSecret?: Uint8Array;
}

export const NO_RULES: DefendRules = {
  lists: 'off',
  sourceRate: undefined,
  serviceRate: undefined,
  synCookies: undefined,
  ownSources: false,
};

const DEFAULT_SERVICES: FixtureService[] = [
  { vip: VIP4, protocol: 'tcp', port: 80 },
  { vip: VIP6, protocol: 'tcp', port: 80 },
  { vip: VIP4, protocol: 'udp', port: 53 },
  { vip: VIP6, protocol: 'udp', port: 53 },
];

export function imageOf(options: FixtureOptions = {}): Image {
  return new Image(buildImage(inputOf(options)));
}

/** What the image is built from; services are named s0, s1 and so on, backends pool/b0, pool/b1. */
export function inputOf(options: FixtureOptions = {}): ImageInput {
  const pools = options.pools ?? { web: [{ address: '10.1.0.11' }, { address: '10.1.0.12' }] };
  const slots = options.slots ?? 251;
  const owner = options.owner ?? ((slot, backends) => slot % backends);
  const { alternate = () => L.NONE, second = () => L.NONE } = options;
  const services = (options.services ?? DEFAULT_SERVICES).map((service, index): ServiceConfig => {
    const [portFirst, portLast] =
      typeof service.port === 'number' ? [service.port, service.port] : service.port;
    return {
      name: `s${index}`,
      vip: parseAddress(service.vip)!,
      protocol: service.protocol,
      portFirst,
      portLast,
      pool: service.pool ?? 'web',
      hash: service.hash ?? '5-tuple',
      secondChance: service.secondChance ?? false,
    };
  });
  let counter = 0;
  return {
    generation: options.generation ?? 1,
    mac: options.mac,
    otherMacs: options.otherMacs ?? [],
    source4: parsePrefix(options.source4 ?? '10.0.0.1') as IpPrefix,
    source6: parsePrefix(options.source6 ?? 'fd00::1') as IpPrefix,
    pools: Object.entries(pools).map(([name, backends]): ImagePool => {
      const table = (of: (slot: number, backends: number) => number): Uint16Array =>
        Uint16Array.from({ length: slots }, (_, slot) => of(slot, backends.length));
      const paths = backends.map((backend, index) => ({ ...path(name)(backend, index), counter: counter++ }));
      const owners = table(owner);
      const alternates = new Uint16Array(2 * slots);
      alternates.set(table(alternate));
      alternates.set(table(second), slots);
      const isKeyed = services.some(({ secondChance, pool }) => secondChance && pool === name);
      const keys = isKeyed ? slotKeys(paths, owners, alternates) : undefined;
      if (!isKeyed || options.former === undefined) return { name, owners, keys, backends: paths };
      const { secret, holders } = options.former;
      const former = {
        holders: holderKeys(
          paths,
          Uint16Array.from([
            ...table((slot, count) => holders(slot, count)[0]),
            ...table((slot, count) => holders(slot, count)[1]),
          ]),
        ),
        flowKey: flowKeyOf(secret),
      };
      return { name, owners, keys, former, backends: paths };
    }),
    services,
    serviceCounters: services.map((_, index) => index),
    counterNames: {
      services: services.map(({ name }) => name),
      backends: Object.entries(pools).flatMap(([pool, backends]) => backends.map((_, i) => `${pool}/b${i}`)),
    },
    cookieKey: options.cookieKey,
    rules: options.rules && {
      key: flowKeyFor(options.rulesSecret ?? SECRET, 'sources'),
      byService: new Map(
        options.rules.flatMap((rules, index) => (rules === undefined ? [] : [[`s${index}`, rules]])),
      ),
    },
    flowKey: flowKeyOf(SECRET),
  };
}

function flowKeyOf(secret: Uint8Array): ImageInput['flowKey'] {
  return (mode, protocol, vip) => deriveFlowKey(secret, mode, protocol, vip);
}

function path(pool: string): (backend: FixtureBackend, index: number) => Omit<BackendPath, 'counter'> {
  return (backend, index) => ({
    name: `${pool}/b${index}`,
    address: parseAddress(backend.address)!,
    agent: backend.agent ?? true,
    id: backend.id ?? defaultId(parseAddress(backend.address)!),
    isReachable: backend.isReachable ?? true,
    mtu: backend.mtu ?? 9000,
    interfaceIndex: backend.interfaceIndex ?? 0,
    sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    destinationMac: Uint8Array.of(2, 0, 0, 0, 1, index),
    vlan: backend.vlan,
    cookies: backend.cookies ?? false,
  });
}

export interface Outcome {
  /** Name of the verdict. */
  readonly verdict: string;
  readonly action: 'forward' | 'answer' | 'pass' | 'drop';
  /** The frame to be sent, when there is one. */
  readonly out: Uint8Array | undefined;
}

/** A pipeline over memory that ends right behind the frame, so that any read beyond it throws. */
/** The fleet's clock, some day. */
export const FLEET_MS = 2 ** 37;

export class Runner {
  readonly pipeline: Pipeline;

  constructor(options: FixtureOptions | Image = {}) {
    this.pipeline = new Pipeline(
      options instanceof Object && 'words' in options ? options : imageOf(options),
    );
    this.pipeline.fleetMs = FLEET_MS;
  }

  run(frame: Uint8Array): Outcome {
    const memory = new Uint8Array(L.HEADROOM + frame.length).fill(0xa5, 0, L.HEADROOM);
    memory.set(frame, L.HEADROOM);
    const verdict = VERDICTS[this.pipeline.process(new DataView(memory.buffer), L.HEADROOM, frame.length)];
    const sends = verdict.action === 'forward' || verdict.action === 'answer';
    const { outStart, outLength } = this.pipeline;
    return {
      verdict: verdict.name,
      action: verdict.action,
      out: sends ? memory.slice(outStart, outStart + outLength) : undefined,
    };
  }
}
