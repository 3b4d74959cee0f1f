/** Rules of defence for random nodes, and what makes packets meet them: few sources, SYNs, a clock that moves and jumps. */
import fc from 'fast-check';
import type { DefendRules } from '#anyhop/config/defend/types.js';
import { PrefixColumns, type Prefixes } from '#anyhop/lists/columns.js';
import { compileLists } from '#anyhop/lists/compile.js';
import { parsePrefix } from '#anyhop/packet/address.js';
import { concat, tcpOption } from '../packets/build.js';
import { layer3, putIpv4Checksum } from './mutate.js';
import type { Random } from './random.js';

const mode = fc.constantFrom('observe' as const, 'enforce' as const, 'enforce' as const);
const limit = fc.oneof(fc.constant(undefined), fc.integer({ min: 1, max: 40 }));
const WINDOWS_MS = [3, 40, 250, 1000];

/** For each service its rules, or none. @param services how many there are */
export function rulesFor(services: number): fc.Arbitrary<(DefendRules | undefined)[]> {
  return fc
    .record({
      perMs: fc.constantFrom(...WINDOWS_MS),
      prefix4: fc.constantFrom(32, 32, 24, 20, 8),
      prefix6: fc.constantFrom(64, 64, 48, 32, 33, 56, 96, 97, 127, 128),
    })
    .chain(({ perMs, prefix4, prefix6 }) => {
      const sourceRate = fc.record({
        mode,
        packets: limit,
        syn: limit,
        network: fc.option(fc.record({ packets: limit, syn: limit }), { nil: undefined }),
      });
      const rules = fc.record({
        lists: fc.constantFrom('off' as const, 'observe' as const, 'enforce' as const),
        sourceRate: fc.option(
          sourceRate.map((one) => ({ ...one, perMs, prefix4, prefix6 })),
          { nil: undefined },
        ),
        serviceRate: fc.option(
          fc.record({ mode, syn: fc.integer({ min: 1, max: 20 }), perMs: fc.constantFrom(...WINDOWS_MS) }),
          { nil: undefined },
        ),
        synCookies: fc.option(
          fc.record({ mode, when: fc.constantFrom('auto' as const, 'always' as const) }),
          { nil: undefined },
        ),
        ownSources: fc.boolean(),
      });
      return fc.array(fc.option(rules, { nil: undefined, freq: 5 }), {
        minLength: services,
        maxLength: services,
      });
    });
}

const { mss, sackPermitted, windowScale, timestamps, nop, end, md5 } = tcpOption;
/** Of Linux, Windows, Apple's, and of nobody. */
export const OPTIONS: readonly Uint8Array[] = [
  new Uint8Array(0),
  mss(1400),
  concat(mss(1460), sackPermitted(), timestamps(1, 0), nop(), windowScale(7)),
  concat(mss(1460), nop(), windowScale(8), nop(2), sackPermitted()),
  concat(mss(1380), nop(), windowScale(6), nop(2), timestamps(0xffffffff, 0), sackPermitted(), end(2)),
  concat(mss(1460), md5(), nop(2)),
];

const SOURCES = 12;
/** Some of the few sources and many others, single and not, in the form that pipelines read. */
export const LISTED = compileLists(
  {
    block: [
      prefixes(
        '198.51.0.2',
        '198.51.1.2/31',
        '32.0.0.0/3',
        '2001:db8::2',
        '2001:db8:0:1::/64',
        '2001:db8:ff::/48',
        '2001:db9::/32',
      ),
    ],
    allow: [prefixes('198.51.1.3', '198.51.2.0/30', '2001:db8:100:204::9')],
  },
  () => 1,
)!;
const TCP = 6;

function prefixes(...texts: readonly string[]): Prefixes {
  return PrefixColumns.of(texts.map((text) => parsePrefix(text)!));
}

/** The same frame from one of few sources, mostly, and often as a SYN. What is no packet stays as it is. */
export function fromFew(original: Uint8Array, random: Random): Uint8Array {
  const bytes = original.slice();
  const l3 = layer3(bytes);
  const family = l3 < 0 ? 0 : bytes[l3] >> 4;
  if (random.below(8) === 0 || (family !== 4 && family !== 6)) return bytes;
  const header = family === 4 ? (bytes[l3] & 15) * 4 : 40;
  if (l3 + header + 14 > bytes.length || header < 20) return bytes;
  const number = random.below(SOURCES);
  if (family === 4) {
    bytes.set([198, 51, number >> 2, 1 + (number & 3)], l3 + 12);
  } else {
    bytes.fill(0, l3 + 8, l3 + 24);
    bytes.set([0x20, 1, 0xd, 0xb8, number >> 3, 0, number >> 2, number >> 1], l3 + 8);
    bytes[l3 + 23] = 1 + number;
  }
  if (bytes[l3 + (family === 4 ? 9 : 6)] === TCP && random.below(2) === 0) {
    bytes[l3 + header + 13] = random.pick([0x02, 0x02, 0xc2, 0x0a, 0x12, 0x03, 0x06]);
    putOptions(bytes, l3 + header, random);
  }
  if (family === 4) putIpv4Checksum(bytes, l3, header);
  return bytes;
}

/** Puts options of some system over what follows a TCP header, if there is room for them. */
function putOptions(bytes: Uint8Array, tcp: number, random: Random): void {
  const options = random.pick(OPTIONS);
  if (tcp + 20 + options.length > bytes.length || random.below(8) === 0) return;
  bytes[tcp + 12] = (5 + options.length / 4) << 4;
  bytes.set(options, tcp + 20);
}

/** Times of packets: some in the same unit, sometimes a jump. */
export function movingClock(count: number, random: Random): Uint32Array<ArrayBuffer> {
  const nows = new Uint32Array(count);
  let now = random.pick([0, 1, 0x7fff_fff0, 0xffff_ff80, random.below(2 ** 32)]);
  for (let i = 0; i < count; i++) {
    const dice = random.below(100);
    if (dice < 12) now += random.below(5);
    else if (dice === 12 && random.below(10) === 0) now += random.below(400);
    else if (dice === 13) now -= random.below(40);
    else if (dice === 14 && random.below(20) === 0) now = random.below(2 ** 32);
    nows[i] = now >>> 0;
    now = nows[i];
  }
  return nows;
}
