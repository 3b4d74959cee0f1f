/** The search for a VIP: its hash, its table, and that nothing but the VIP itself is found. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import { type Image, vipHash } from '#anyhop/image/read.js';
import { addressBytes } from '../packets/layer.js';
import { imageOf } from './fixture.js';
import { literalHashOf, literalVipHash, probeCounts } from './vip-hash.js';

function imageWith(vips: readonly string[]): Image {
  return imageOf({ services: vips.map((vip) => ({ vip, protocol: 'tcp', port: 80 })) });
}

/** Whether an image finds an address, by the search of its family. */
function finds(image: Image, text: string): boolean {
  const bytes = Buffer.from(addressBytes(text));
  if (bytes.length === 4) return image.findVip4(bytes.readInt32LE(0)) >= 0;
  return (
    image.findVip6(bytes.readInt32LE(0), bytes.readInt32LE(4), bytes.readInt32LE(8), bytes.readInt32LE(12)) >=
    0
  );
}

/** IPv4 addresses whose search starts at `place` of a table with this many places (at least). */
function colliding(count: number, place: number, places: number): string[] {
  const found: string[] = [];
  for (let n = 0; found.length < count; n++) {
    const address = `10.${n >> 16}.${(n >> 8) & 0xff}.${n & 0xff}`;
    if ((literalHashOf(addressBytes(address)) & (places - 1)) === place) found.push(address);
  }
  return found;
}

describe('the hash of a VIP', () => {
  it('is the one that the C header defines, for any four words', () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(word, word, word, word, (a0, a1, a2, a3) => {
        assert.equal(vipHash(a0, a1, a2, a3) >>> 0, literalVipHash([a0, a1, a2, a3]));
      }),
      { numRuns: 2000 },
    );
  });

  const PLANS: Record<string, string[]> = {
    'a /24 of IPv4 VIPs': Array.from({ length: 256 }, (_, i) => `203.0.113.${i}`),
    'a /20 of IPv4 VIPs': Array.from({ length: 4096 }, (_, i) => `203.0.${112 + (i >> 8)}.${i & 0xff}`),
    'the first address of 256 /24s': Array.from({ length: 256 }, (_, i) => `203.0.${i}.1`),
    '48 networks of 48 IPv6 VIPs': Array.from(
      { length: 48 * 48 },
      (_, i) => `2001:db8:0:${(i / 48) | 0}::${((i % 48) + 1).toString(16)}`,
    ),
    'the same VIPs of 1000 IPv6 networks': Array.from({ length: 1000 }, (_, i) => `2001:db8:${i}::10`),
  };
  for (const count of [10, 100, 1000, 4096]) {
    PLANS[`2001:db8::1 to its ${count}th neighbour`] = Array.from(
      { length: count },
      (_, i) => `2001:db8::${(i + 1).toString(16)}`,
    );
  }
  for (const [name, vips] of Object.entries(PLANS)) {
    it(`spreads ${name}: at most sixteen places a VIP, under one and a half probes on average`, () => {
      const image = imageWith(vips);
      const probes = probeCounts(image);
      assert.equal(probes.length, vips.length);
      // Four are enough for most; a thousand that hash at random need up to nine now and then.
      assert.ok(image.vipMask + 1 <= vips.length * 16, `${image.vipMask + 1} places`);
      assert.ok(Math.max(...probes) <= L.VIP_PROBES_MAX);
      const mean = probes.reduce((sum, count) => sum + count, 0) / probes.length;
      assert.ok(mean < 1.5, `${mean} probes on average`);
      for (const vip of vips) assert.ok(finds(image, vip), vip);
    });
  }
});

describe('the search for a VIP', () => {
  it('finds no address that differs from a VIP in a single word, though the search looks at that VIP', () => {
    const vip = '2001:db8:100:2:3:4:5:10';
    const image = imageWith([vip]);
    for (let word = 0; word < 8; word++) {
      for (let n = 0; n < 64; n++) {
        const words = vip.split(':');
        words[word] = (0x3000 + n).toString(16);
        assert.equal(finds(image, words.join(':')), false, words.join(':'));
      }
    }
    for (let bit = 0; bit < 128; bit++) {
      const bytes = addressBytes(vip);
      bytes[bit >> 3] ^= 0x80 >> (bit & 7);
      const text = Array.from({ length: 8 }, (_, i) =>
        Buffer.from(bytes)
          .readUInt16BE(i * 2)
          .toString(16),
      );
      assert.equal(finds(image, text.join(':')), false, text.join(':'));
    }
  });

  it('does not take an IPv4 VIP for the IPv6 address with the same last word, which has the same hash, or back', () => {
    const four = imageWith(['203.0.113.10']);
    assert.deepEqual([finds(four, '203.0.113.10'), finds(four, '::203.0.113.10')], [true, false]);
    const six = imageWith(['::203.0.113.10']);
    assert.deepEqual([finds(six, '203.0.113.10'), finds(six, '::203.0.113.10')], [false, true]);
    const both = imageWith(['203.0.113.10', '::203.0.113.10']);
    assert.deepEqual([finds(both, '203.0.113.10'), finds(both, '::203.0.113.10')], [true, true]);
  });

  it('looks at as many places as the builder fills, around the end of the table, and no further', () => {
    for (const place of [0, 7, 15]) {
      const addresses = colliding(L.VIP_PROBES_MAX + 8, place, 16);
      const present = addresses.slice(0, L.VIP_PROBES_MAX);
      const image = imageWith(present);
      assert.equal(image.vipMask + 1, 16);
      assert.deepEqual(
        probeCounts(image).toSorted((a, b) => a - b),
        Array.from({ length: L.VIP_PROBES_MAX }, (_, i) => i + 1),
      );
      for (const vip of present) assert.ok(finds(image, vip), vip);
      for (const vip of addresses.slice(L.VIP_PROBES_MAX)) assert.equal(finds(image, vip), false, vip);
    }
  });

  it('never needs more probes than allowed: the table grows where more VIPs than that collide', () => {
    const vips = colliding(L.VIP_PROBES_MAX + 1, 3, 32);
    const image = imageWith(vips);
    assert.ok(image.vipMask + 1 > 32);
    assert.ok(Math.max(...probeCounts(image)) <= L.VIP_PROBES_MAX);
    for (const vip of vips) assert.ok(finds(image, vip), vip);
  });

  it('finds nothing in an image without services', () => {
    const image = imageWith([]);
    assert.equal(finds(image, '203.0.113.10'), false);
    assert.equal(finds(image, '::'), false);
    assert.equal(finds(image, '0.0.0.0'), false);
  });
});
