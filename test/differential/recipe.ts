/**
 * What an image is made from, as plain JSON, so that a failing packet can be printed with the node that it failed on. A
 * few recipes are written down, one for each corner of the layout; any number more come from an arbitrary.
 */
import fc from 'fast-check';
import type { DefendRules, SourceRate } from '#anyhop/config/defend/types.js';
import type { HashMode } from '#anyhop/config/types.js';
import { L } from '#anyhop/core/layout.gen.js';
import type { Image } from '#anyhop/image/read.js';
import { type FixtureBackend, type FixtureService, imageOf } from '../forward/fixture.js';
import { NODE_MAC } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';
import { rulesFor } from './rules.js';

export interface Recipe {
  readonly name: string;
  readonly pools: Readonly<Record<string, readonly FixtureBackend[]>>;
  readonly services: readonly FixtureService[];
  /** Address or prefix. */
  readonly source4: string;
  readonly source6: string;
  /** Whether frames for other MAC addresses than NODE_MAC and OTHER_MACS pass. */
  readonly checkMac: boolean;
  readonly slots: number;
  /** One slot in so many has no owner, or no alternate: 0 none of them, 1 all. */
  readonly ownerless: number;
  readonly alternateless: number;
  /** Of services by number; every packet passes where there are none. */
  readonly rules?: readonly (DefendRules | undefined)[];
  /** Whether the flow hash key has just changed. */
  readonly isRekeyed?: boolean;
}

/** Further addresses of the node: two of the three may well be taken for each other. */
export const OTHER_MACS = ['00:00:5e:00:01:33', '00:00:5e:00:01:34', '02:00:00:00:01:33'] as const;

/** Ways out: as it came; the same by its number, since a test run comes in by the loopback; any other. */
export const SAME_INTERFACE = 0;
export const LOOPBACK = 1;
export const OTHER_INTERFACE = 7;

const four = (count: number, rest: Partial<FixtureBackend> = {}): FixtureBackend[] =>
  Array.from({ length: count }, (_, i) => ({ address: `10.1.0.${i + 1}`, ...rest }));
const six = (count: number, rest: Partial<FixtureBackend> = {}): FixtureBackend[] =>
  Array.from({ length: count }, (_, i) => ({ address: `2001:db8:2::${i + 1}`, id: 0x7f00 + i, ...rest }));

const PLAIN = {
  source4: '10.0.0.1',
  source6: 'fd00::1',
  checkMac: false,
  slots: 251,
  ownerless: 0,
  alternateless: 4,
} as const;

const SOURCE_RATE: SourceRate = {
  mode: 'enforce',
  packets: 6,
  syn: 2,
  perMs: 100,
  prefix4: 32,
  prefix6: 64,
  network: { packets: 15, syn: 5 },
};
const RULES: readonly (DefendRules | undefined)[] = [
  {
    lists: 'enforce',
    sourceRate: SOURCE_RATE,
    serviceRate: { mode: 'enforce', syn: 2, perMs: 1000 },
    synCookies: undefined,
    ownSources: false,
  },
  {
    lists: 'observe',
    sourceRate: { ...SOURCE_RATE, mode: 'observe', network: undefined },
    serviceRate: { mode: 'enforce', syn: 4, perMs: 1000 },
    synCookies: { mode: 'enforce', when: 'auto' },
    ownSources: true,
  },
  {
    lists: 'off',
    sourceRate: undefined,
    serviceRate: { mode: 'observe', syn: 3, perMs: 1000 },
    synCookies: { mode: 'enforce', when: 'always' },
    ownSources: false,
  },
  {
    lists: 'enforce',
    sourceRate: { ...SOURCE_RATE, packets: 3 },
    serviceRate: undefined,
    synCookies: undefined,
    ownSources: false,
  },
];

/** Of SYNs alone: answered, limited, dropped, and let through; by a threshold of three SYNs in 3 ms too. */
const SYN_RULES: readonly DefendRules[] = (
  [
    [{ mode: 'enforce', when: 'always' }, undefined],
    [
      { mode: 'enforce', when: 'auto' },
      { mode: 'observe', syn: 40, perMs: 3 },
    ],
    [undefined, { mode: 'enforce', syn: 4, perMs: 40 }],
    [
      { mode: 'observe', when: 'always' },
      { mode: 'enforce', syn: 6, perMs: 250 },
    ],
  ] as const
).map(([synCookies, serviceRate]) => ({
  lists: 'off',
  sourceRate: undefined,
  serviceRate,
  synCookies,
  ownSources: false,
}));

/** By number, so that a fuzzer's corpus can name them: add at the end only. */
export const RECIPES: readonly Recipe[] = [
  {
    ...PLAIN,
    name: 'one pool, IPv4 underlay, second chance for TCP',
    pools: { web: four(5, { mtu: 1500 }) },
    services: [
      { vip: '203.0.113.10', protocol: 'tcp', port: 80, secondChance: true },
      { vip: '203.0.113.10', protocol: 'tcp', port: [440, 450], secondChance: true },
      { vip: '203.0.113.10', protocol: 'udp', port: 53 },
      { vip: '2001:db8:100::10', protocol: 'tcp', port: 80, secondChance: true },
      { vip: '2001:db8:100::10', protocol: 'udp', port: 53 },
    ],
  },
  {
    ...PLAIN,
    name: 'IPv6 underlay, VLAN tags, some backends without an agent',
    checkMac: true,
    pools: {
      web: [...six(3, { mtu: 1500, vlan: 100 }), { address: '2001:db8:2::99', agent: false, mtu: 1400 }],
    },
    services: [
      { vip: '203.0.113.10', protocol: 'tcp', port: [1, 65535], secondChance: true },
      { vip: '2001:db8:100::10', protocol: 'tcp', port: [1, 65535], secondChance: true },
      { vip: '2001:db8:100::10', protocol: 'udp', port: [1, 65535] },
    ],
  },
  {
    ...PLAIN,
    name: 'an outer source prefix, other interfaces, every kind of hash',
    source4: '10.16.0.0/12', // host bits in both halves of the address
    pools: {
      web: [
        ...four(2, { vlan: 7, mtu: 1500 }),
        { address: '10.1.0.8', interfaceIndex: OTHER_INTERFACE, mtu: 1500 },
        { address: '10.1.0.9', interfaceIndex: LOOPBACK, mtu: 9000 },
        { address: '2001:db8:2::9', interfaceIndex: OTHER_INTERFACE, mtu: 1280 },
      ],
    },
    services: (['203.0.113.10', '2001:db8:100::10'] as const).flatMap((vip): FixtureService[] => [
      { vip, protocol: 'tcp', port: 80, hash: 'source', secondChance: true },
      { vip, protocol: 'tcp', port: [81, 90], hash: 'source' },
      { vip, protocol: 'udp', port: 53, hash: '3-tuple' },
      { vip, protocol: 'udp', port: [1000, 2000], hash: '5-tuple' },
    ]),
  },
  {
    ...PLAIN,
    name: 'ambiguous fragments, 3-tuple TCP, small MTUs',
    pools: { web: four(3, { mtu: L.PATH_MTU_MIN }), other: six(2, { mtu: L.PATH_MTU_MIN }) },
    services: (['203.0.113.10', '2001:db8:100::10'] as const).flatMap((vip): FixtureService[] => [
      { vip, protocol: 'tcp', port: 80, hash: '3-tuple', secondChance: true },
      { vip, protocol: 'tcp', port: 443, hash: '3-tuple', secondChance: true },
      { vip, protocol: 'udp', port: 9001, pool: 'web' },
      { vip, protocol: 'udp', port: 9002, pool: 'other' },
    ]),
  },
  {
    ...PLAIN,
    name: 'a pool without backends beside a pool of the largest table, slots without owner',
    slots: 65537,
    ownerless: 16,
    pools: { none: [], web: four(200, { mtu: 65535 }) },
    services: (['203.0.113.10', '2001:db8:100::10'] as const).flatMap((vip): FixtureService[] => [
      { vip, protocol: 'tcp', port: 80, secondChance: true },
      { vip, protocol: 'tcp', port: 81, pool: 'none' },
      { vip, protocol: 'udp', port: 53 },
      { vip, protocol: 'udp', port: 54, pool: 'none' },
    ]),
  },
  {
    ...PLAIN,
    name: 'many VIPs in a full search table, many port ranges',
    checkMac: true,
    pools: { web: [...four(2, { mtu: 1400 }), ...six(2, { mtu: 1600 })] },
    services: Array.from({ length: 32 }, (_, i): FixtureService[] => {
      const vip = i % 2 === 0 ? `203.0.113.${i}` : `2001:db8:100::${i.toString(16)}`;
      return Array.from({ length: 1 + (i % 9) }, (_, j) => ({
        vip,
        protocol: (i >> 1) % 3 === 0 ? 'udp' : 'tcp',
        port: [1000 * j + 1, 1000 * j + 1 + 111 * j],
        secondChance: (i >> 1) % 3 !== 0,
      }));
    }).flat(),
  },
  {
    ...PLAIN,
    name: 'hundreds of services of one port, many of them by the second place of their lanes',
    checkMac: true,
    pools: { web: [...four(3, { mtu: 1500 }), ...six(2, { mtu: 1500, vlan: 9 })] },
    services: Array.from({ length: 240 }, (_, i): FixtureService => {
      const vip = i % 3 === 0 ? `2001:db8:100:${i % 7}::${(i % 7) + 1}` : `203.0.113.${i % 13}`;
      return { vip, protocol: i % 4 === 1 ? 'udp' : 'tcp', port: 1000 + i, secondChance: i % 2 === 0 };
    }),
  },
  {
    ...PLAIN,
    name: 'rules of defence, enforced and observed, of sources that services share and do not',
    pools: { web: [...four(3, { mtu: 1500 }), ...six(2, { mtu: 1500, vlan: 9 })] },
    services: (['203.0.113.10', '2001:db8:100::10'] as const).flatMap((vip): FixtureService[] => [
      { vip, protocol: 'tcp', port: 80, secondChance: true },
      { vip, protocol: 'tcp', port: 443 },
      { vip, protocol: 'tcp', port: [1000, 2000] },
      { vip, protocol: 'udp', port: 53 },
    ]),
    rules: [...RULES, ...RULES],
  },
  {
    ...PLAIN,
    name: 'SYNs under rules, whatever their sources send',
    pools: { web: [...four(3, { mtu: 1500 }), ...six(2, { mtu: 1400 })] },
    services: (['203.0.113.10', '2001:db8:100::10'] as const).flatMap((vip): FixtureService[] => [
      { vip, protocol: 'tcp', port: 80, secondChance: true },
      { vip, protocol: 'tcp', port: 443 },
      { vip, protocol: 'tcp', port: [1000, 2000] },
      { vip, protocol: 'tcp', port: 8080, hash: 'source' },
    ]),
    rules: [...SYN_RULES, ...SYN_RULES],
  },
  {
    ...PLAIN,
    name: 'another flow hash key than before, every kind of hash, some backends without an agent, SYNs under rules',
    pools: {
      web: [
        ...four(4, { mtu: 1500 }),
        ...six(2, { mtu: 1400, vlan: 9 }),
        { address: '10.1.0.99', agent: false, mtu: 1500 },
      ],
      other: four(3, { mtu: 1500 }),
    },
    services: (['203.0.113.10', '2001:db8:100::10'] as const).flatMap((vip): FixtureService[] => [
      { vip, protocol: 'tcp', port: 80, secondChance: true },
      { vip, protocol: 'tcp', port: 443, hash: 'source', secondChance: true },
      { vip, protocol: 'tcp', port: [1000, 2000], hash: '3-tuple', secondChance: true },
      { vip, protocol: 'tcp', port: 8080, pool: 'other' },
      { vip, protocol: 'udp', port: 53 },
    ]),
    rules: [undefined, SYN_RULES[1], undefined, undefined, undefined, SYN_RULES[0]],
    isRekeyed: true,
  },
];

const VIPS = [
  ...Array.from({ length: 12 }, (_, i) => `203.0.113.${i * 7 + 1}`),
  ...Array.from({ length: 12 }, (_, i) => `2001:db8:${100 + i}::${i + 1}`),
];
const HASHES: readonly HashMode[] = ['5-tuple', '3-tuple', 'source'];

/** Optional fields are left out rather than set to undefined. */
const backend: fc.Arbitrary<FixtureBackend> = fc
  .record(
    {
      address: fc.oneof(
        fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 254 })).map(([a, b]) => `10.1.${a}.${b}`),
        fc.integer({ min: 1, max: 0xffff }).map((a) => `2001:db8:2::${a.toString(16)}`),
      ),
      agent: fc.boolean(),
      mtu: fc.constantFrom(L.PATH_MTU_MIN, 1280, 1400, 1500, 1501, 9000, 65535),
      vlan: fc.integer({ min: 1, max: 4094 }),
      interfaceIndex: fc.constantFrom(SAME_INTERFACE, LOOPBACK, OTHER_INTERFACE),
    },
    { requiredKeys: ['address', 'agent', 'mtu'] },
  )
  .map((fields) => ({ ...fields }));

const backends = fc.oneof(
  { weight: 8, arbitrary: fc.array(backend, { minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constant<FixtureBackend[]>([]) },
);

/** Services of one VIP and protocol: sorted ports taken in pairs are ranges that do not overlap. */
function servicesOf(vip: string, protocol: 'tcp' | 'udp'): fc.Arbitrary<FixtureService[]> {
  const rest = fc.record({
    pool: fc.constantFrom('a', 'b'),
    hash: fc.constantFrom(...HASHES),
    secondChance: fc.boolean(),
  });
  return fc
    .tuple(
      fc.uniqueArray(fc.integer({ min: 1, max: 65535 }), { maxLength: 12 }),
      fc.array(rest, { minLength: 6, maxLength: 6 }),
      fc.boolean(), // all alike, or each as it likes: fragments depend on it
      fc.array(fc.nat(3), { minLength: 6, maxLength: 6 }), // 0: a range of ports, which has no lane
    )
    .map(([ports, list, alike, single]) => {
      ports.sort((a, b) => a - b);
      return Array.from({ length: ports.length >> 1 }, (_, i): FixtureService => {
        const { pool, hash, secondChance } = list[alike ? 0 : i];
        const port = single[i] > 0 ? ports[2 * i] : ([ports[2 * i], ports[2 * i + 1]] as const);
        return { vip, protocol, port, pool, hash, secondChance: secondChance && protocol === 'tcp' };
      });
    });
}

/** Any node; every recipe has one service at least. */
export const recipe: fc.Arbitrary<Recipe> = fc
  .record({
    a: backends,
    b: backends,
    services: fc
      .uniqueArray(fc.constantFrom(...VIPS), { minLength: 1, maxLength: 8 })
      .chain((vips) => fc.tuple(...vips.flatMap((vip) => [servicesOf(vip, 'tcp'), servicesOf(vip, 'udp')])))
      .map((lists) => lists.flat())
      .filter((services) => services.length > 0),
    sourceBits: fc.constantFrom(32, 32, 30, 24, 17, 16, 8),
    checkMac: fc.boolean(),
    slots: fc.constantFrom(2, 3, 251, 65537),
    ownerless: fc.constantFrom(0, 0, 0, 5),
    alternateless: fc.constantFrom(0, 1, 3),
    isRekeyed: fc.constantFrom(false, false, true),
  })
  .map(({ a, b, sourceBits, ...rest }) => ({
    ...rest,
    name: 'generated',
    pools: { a, b },
    source4: `10.0.0.0/${sourceBits}`,
    source6: 'fd00::1',
  }))
  .chain((one) =>
    fc
      .option(rulesFor(one.services.length), { nil: undefined, freq: 1 })
      .map((rules) => (rules === undefined ? one : { ...one, rules })),
  );

const FORMER_SECRET = Uint8Array.from({ length: 16 }, (_, i) => 255 - i);
const COOKIE_KEY = Uint8Array.from({ length: 16 }, (_, i) => 16 * i + 1);

/** Three backends of four take SYN cookies. */
function takingCookies(pools: Recipe['pools']): Recipe['pools'] {
  const taking = Object.entries(pools).map(([name, backends]): [string, readonly FixtureBackend[]] => [
    name,
    backends.map((backend, i) => ({ ...backend, cookies: i % 4 !== 3 })),
  ]);
  return Object.fromEntries(taking);
}

/** @param generation only rises for one pipeline */
export function imageFrom(recipe: Recipe, generation: number): Image {
  const lacks = (slot: number, one: number): boolean => one > 0 && slot % one === 0;
  return imageOf({
    pools: recipe.rules ? takingCookies(recipe.pools) : recipe.pools,
    services: recipe.services,
    source4: recipe.source4,
    source6: recipe.source6,
    ...(recipe.checkMac ? { mac: macBytes(NODE_MAC), otherMacs: OTHER_MACS.map(macBytes) } : {}),
    slots: recipe.slots,
    owner: (slot, count) => (count === 0 || lacks(slot + 1, recipe.ownerless) ? L.NONE : slot % count),
    alternate: (slot, count) =>
      count < 2 || lacks(slot + 2, recipe.alternateless) ? L.NONE : (slot + 1) % count,
    second: (slot, count) =>
      count < 3 || lacks((slot >> 1) + 2, recipe.alternateless) ? L.NONE : (slot + 2) % count,
    ...(recipe.isRekeyed && {
      former: {
        secret: FORMER_SECRET,
        holders: (slot: number, count: number) =>
          [slot + 1, 7 * slot + 2].map((at) =>
            count === 0 || lacks(at, recipe.alternateless) ? L.NONE : at % count,
          ) as [number, number],
      },
    }),
    generation,
    ...(recipe.rules && { rules: recipe.rules, cookieKey: COOKIE_KEY }),
  });
}
