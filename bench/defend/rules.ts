/** Nodes for `bench/defend.ts`: one service of each family, with rules of one kind or none. */
import type { DefendRules } from '#anyhop/config/defend/types.js';
import type { ForwardSizes } from '#anyhop/engine/maps/sizes.js';
import type { Image } from '#anyhop/image/read.js';
import { sizesFor } from '../../scripts/native/forwarder.js';
import { imageOf, SECRET, VIP4, VIP6 } from '../../test/forward/fixture.js';
import { NODE_MAC } from '../../test/packets/build.js';
import { macBytes } from '../../test/packets/layer.js';
import { PORT } from './packets.js';

const NONE: DefendRules = {
  lists: 'off',
  sourceRate: undefined,
  serviceRate: undefined,
  synCookies: undefined,
  ownSources: false,
};
/** More than a source of the bench sends. */
const SOURCE: DefendRules = {
  ...NONE,
  sourceRate: {
    mode: 'enforce',
    packets: 50_000,
    syn: 5_000, // a cell of the sketch has that of many sources, at the speed of a test run
    perMs: 1000,
    prefix4: 32,
    prefix6: 64,
    network: undefined,
  },
};
const cookies = (when: 'auto' | 'always'): DefendRules => ({
  ...NONE,
  synCookies: { mode: 'enforce', when },
});

const RULES = {
  none: undefined,
  lists: { ...NONE, lists: 'enforce' },
  source: SOURCE,
  both: { ...SOURCE, lists: 'enforce' },
  auto: cookies('auto'),
  always: cookies('always'),
  all: { ...SOURCE, lists: 'enforce', synCookies: { mode: 'enforce', when: 'always' } },
} as const satisfies Record<string, DefendRules | undefined>;
export type RulesName = keyof typeof RULES;

function made(rules: DefendRules | undefined): Image {
  return imageOf({
    mac: macBytes(NODE_MAC),
    slots: 65537,
    pools: { web: Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i + 1}`, cookies: true })) },
    services: [VIP4, VIP6].map((vip) => ({ vip, protocol: 'tcp', port: PORT })),
    rules: [rules, rules],
    cookieKey: SECRET,
  });
}

const images = new Map(Object.entries(RULES).map(([name, rules]) => [name, made(rules)]));

/** @param lists bytes of compiled ones */
export const sizesWith = (lists?: number): ForwardSizes => sizesFor([...images.values()], lists);

export function imageWith(name: RulesName): Image {
  return images.get(name)!;
}
