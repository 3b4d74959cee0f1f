/** Lanes of an image, found as native/include/anyhop/search.h finds them, in whole numbers of 64 bits. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import type { Image } from '#anyhop/image/read.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { HostSubject } from '../differential/pipelines.js';
import { Frames, R } from '../differential/record.js';
import { type FixtureService, imageOf } from '../forward/fixture.js';
import { frame, ipv4, ipv6, NODE_MAC, tcp } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';

const LOW_FACTOR = 0xd6e8feb86659fd93n;
const to64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** In the place of a port. */
const RANGE = -1;

interface Wanted {
  readonly vip: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** The offset of the lane, and how many places were looked at; offset 0 for none. */
function find(image: Image, { vip, protocol, port }: Wanted): { at: number; looks: number } {
  const view = new DataView(image.bytes.buffer);
  const address = parseAddress(vip)!;
  const bytes = new DataView(address.bytes.slice().buffer);
  const raw = port === RANGE ? 1n << 24n : BigInt(((port & 0xff) << 8) | (port >> 8));
  const rest = (raw << 32n) | (BigInt(protocol === 'tcp' ? 6 : 17) << 48n);
  const lanes = (offset: number): number => view.getUint32(L.HEADER_LANES + offset, true);
  const is4 = address.family === 4;
  const [high, low] = is4 ? [0n, 0n] : [bytes.getBigUint64(0, true), bytes.getBigUint64(8, true)];
  const key = is4 ? rest | BigInt(bytes.getUint32(0, true)) : rest;
  const spread = is4 ? key : to64(bytes.getBigUint64(0) + bytes.getBigUint64(8) * LOW_FACTOR) ^ key;
  const [offset, mask] = is4
    ? [lanes(L.LANES_OFFSET4), lanes(L.LANES_MASK4)]
    : [lanes(L.LANES_OFFSET6), lanes(L.LANES_MASK6)];
  for (const which of [0, 1]) {
    const multiplier = view.getBigUint64(L.HEADER_LANES + L.LANES_MULTIPLIERS + which * 8, true);
    const at = offset + Number((to64(spread * multiplier) >> 40n) & BigInt(mask));
    const isIt =
      view.getBigUint64(at + L.LANE_KEY, true) === key &&
      (is4 ||
        (view.getBigUint64(at + L.LANE6_ADDRESS, true) === high &&
          view.getBigUint64(at + L.LANE6_ADDRESS + 8, true) === low));
    if (isIt) return { at, looks: which + 1 };
    if (which === 0 && image.bytes[at + L.LANE_OVERFLOW] === 0) return { at: 0, looks: 1 };
  }
  return { at: 0, looks: 2 };
}

const pools = { web: [{ address: '10.1.0.1' }, { address: '2001:db8:2::1' }] };
const service = fc.record({
  vip: fc.oneof(
    fc.tuple(fc.nat(3), fc.nat(255)).map(([a, b]) => `203.0.${a}.${b}`),
    fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).map(([a, b]) => `2001:db8:${a.toString(16)}::${b.toString(16)}`),
  ),
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
  port: fc.integer({ min: 1, max: 65535 }),
});
const nameOf = ({ vip, protocol, port }: Wanted): string => `${protocol} ${parseAddress(vip)!.text} ${port}`;

describe('the lanes of an image', () => {
  it('are found for every service of one port, and for nothing else', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(service, { selector: nameOf, maxLength: 60 }),
        fc.array(service, { maxLength: 60 }),
        (services, others) => {
          const image = imageOf({ pools, services });
          const view = new DataView(image.bytes.buffer);
          for (const one of services) {
            const { at } = find(image, one);
            assert.notEqual(at, 0, nameOf(one));
            const first = view.getUint32(at + L.LANE_PATHS_OFFSET, true);
            assert.equal(first, view.getUint32(L.HEADER_LANES + L.LANES_PATH_OFFSET, true));
          }
          const known = new Set(services.map(nameOf));
          for (const one of others) if (!known.has(nameOf(one))) assert.equal(find(image, one).at, 0);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('are each at one of two places where there are thousands, most at the first', () => {
    const services = Array.from({ length: 5000 }, (_, i): FixtureService & Wanted => ({
      vip: i % 2 === 0 ? `203.0.113.${i % 128}` : `2001:db8:1::${(i % 128).toString(16)}`,
      protocol: i % 4 < 2 ? 'tcp' : 'udp',
      port: 1 + (i >> 2),
    }));
    const image = imageOf({ pools, services });
    const looks = services.map((one) => find(image, one)).map(({ at, looks }) => (at === 0 ? 3 : looks));
    assert.equal(looks.filter((count) => count > 2).length, 0, 'without a lane');
    assert.ok(looks.filter((count) => count === 1).length > services.length * 0.8, 'at the first place');
  });

  it('are there for VIPs in sequence on one port, of either family, in a table that stays small', () => {
    for (const prefix of ['203.0.113.', '2001:db8:1::', '2001:db8:1:2:3::a:']) {
      const services = Array.from(
        { length: 200 },
        (_, i): FixtureService => ({ vip: `${prefix}${i + 1}`, protocol: 'tcp', port: 443 }),
      );
      const image = imageOf({ pools, services, mac: macBytes(NODE_MAC) });
      const host = new HostSubject();
      host.publish(image);
      const ip = prefix.includes(':')
        ? (dst: string) => ipv6({ src: '2001:db8:9::1', dst })
        : (dst: string) => ipv4({ src: '198.51.100.1', dst });
      const frames = services.map(({ vip }) => frame({}, ip(vip), tcp({ sport: 1024, dport: 443 })));
      const results = host.run(new Frames(frames));
      const away = services.filter((_, i) => results.get(i, R.BY_LANE) !== 1).map(({ vip }) => vip);
      assert.deepEqual(away, [], 'went the long way');
      const mask = new DataView(image.bytes.buffer).getUint32(
        L.HEADER_LANES + (prefix.includes(':') ? L.LANES_MASK6 : L.LANES_MASK4),
        true,
      );
      assert.ok(mask < 2048 * L.SIZEOF_LANE6);
    }
  });

  it('have one for the widest range of a VIP and protocol, under a key that no port has', () => {
    const ranges = [
      [10, 11],
      [80, 89],
      [200, 201],
    ] as const;
    const image = imageOf({
      pools,
      services: ranges.map((port) => ({ vip: '203.0.113.10', protocol: 'udp', port })),
    });
    const view = new DataView(image.bytes.buffer);
    for (const port of [10, 80, 89, 200]) {
      assert.equal(find(image, { vip: '203.0.113.10', protocol: 'udp', port }).at, 0);
    }
    const { at } = find(image, { vip: '203.0.113.10', protocol: 'udp', port: RANGE });
    assert.deepEqual(
      [L.LANE_PORT_FIRST, L.LANE_PORT_LAST].map((field) => view.getUint16(at + field, true)),
      [80, 89],
    );
    assert.equal(find(image, { vip: '203.0.113.10', protocol: 'tcp', port: RANGE }).at, 0);
  });

  it('have a free place where no packet can be: its key has bits that no packet has', () => {
    const image = imageOf({ pools, services: [] });
    const view = new DataView(image.bytes.buffer);
    for (const family of [4, 6] as const) {
      const at = view.getUint32(L.HEADER_LANES + (family === 4 ? L.LANES_OFFSET4 : L.LANES_OFFSET6), true);
      assert.equal(view.getBigUint64(at + L.LANE_KEY, true) >> 56n, 0xffn);
    }
  });
});
