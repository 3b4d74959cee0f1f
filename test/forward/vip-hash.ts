/**
 * anyhop_vip_hash of native/include/anyhop/image.h, step by step in BigInt as C computes it, and what a search table
 * looks like to it.
 */
import { L } from '#anyhop/core/layout.gen.js';
import type { Image } from '#anyhop/image/read.js';

const MASK32 = 0xffffffffn;

function fold(value: bigint): bigint {
  const h = (value * 0x9e3779b1n) & MASK32;
  return ((h << 15n) & MASK32) | (h >> 17n);
}

/** Of four little-endian words, unsigned. */
export function literalVipHash(words: readonly number[]): number {
  const [a0, a1, a2, a3] = words.map((word) => BigInt(word >>> 0));
  let h = fold(a0);
  h = fold(h ^ a1);
  h = fold(h ^ a2);
  h ^= a3;
  h ^= h >> 16n;
  h = (h * 0x85ebca6bn) & MASK32;
  h ^= h >> 13n;
  h = (h * 0xc2b2ae35n) & MASK32;
  return Number(h ^ (h >> 16n));
}

/** Of the 4 or 16 bytes of an address. */
export function literalHashOf(address: Uint8Array): number {
  const bytes = Buffer.alloc(16);
  bytes.set(address, 16 - address.length);
  return literalVipHash([0, 4, 8, 12].map((at) => bytes.readUInt32LE(at)));
}

/** How many places a search for each VIP of an image looks at. */
export function probeCounts(image: Image): number[] {
  const bytes = Buffer.from(image.bytes.buffer);
  const counts: number[] = [];
  for (let place = 0; place <= image.vipMask; place++) {
    const at = image.vipWord * 4 + place * L.SIZEOF_VIP;
    if (bytes[at + L.VIP_FAMILY] === 0) continue;
    const words = [0, 4, 8, 12].map((word) => bytes.readUInt32LE(at + L.VIP_ADDRESS + word));
    counts.push(((place - literalVipHash(words)) & image.vipMask) + 1);
  }
  return counts;
}
