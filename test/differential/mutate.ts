/**
 * Variations of a frame, cheap enough for millions: tweaks, which keep a right packet right (another client, port, TTL,
 * TOS), and damage, which does not.
 */
import type { Random } from './random.js';

/** Where the IP header starts, by the EtherType behind at most two tags; -1 when it is no IP. */
export function layer3(bytes: Uint8Array): number {
  for (let at = 12; at <= 20 && at + 2 + 20 <= bytes.length; at += 4) {
    const type = (bytes[at] << 8) | bytes[at + 1];
    if (type === 0x0800 || type === 0x86dd) return at + 2;
    if (type !== 0x8100 && type !== 0x88a8) return -1;
  }
  return -1;
}

/** A copy with a field or two changed and the IPv4 checksum put right; transport checksums nobody looks at. */
export function tweaked(original: Uint8Array, random: Random): Uint8Array {
  const bytes = original.slice();
  const l3 = layer3(bytes);
  if (l3 < 0) return bytes;
  const four = bytes[l3] >> 4 === 4;
  const header = four ? (bytes[l3] & 15) * 4 : 40;
  if (l3 + header + 4 > bytes.length) return bytes;
  const protocol = bytes[l3 + (four ? 9 : 6)];
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    switch (random.below(8)) {
      case 0: // TOS, or traffic class and flow label
        if (four) bytes[l3 + 1] = random.byte();
        else for (let i = 1; i < 4; i++) bytes[l3 + i] = random.byte();
        break;
      case 1:
        bytes[l3 + (four ? 8 : 7)] = random.below(4) === 0 ? random.below(3) : 2 + random.below(254);
        break;
      case 2: // identification, DF
        if (!four) break;
        bytes[l3 + 4] = random.byte();
        bytes[l3 + 6] ^= 0x40;
        break;
      case 3:
      case 4: // the client: the last bytes of its address
        bytes[l3 + (four ? 14 : 22)] = random.byte();
        bytes[l3 + (four ? 15 : 23)] = random.byte();
        break;
      case 5:
      case 6: // its port
        if (protocol !== 6 && protocol !== 17) break;
        bytes[l3 + header] = random.byte();
        bytes[l3 + header + 1] = random.byte();
        break;
      default: // the router's MAC address
        bytes[6 + random.below(6)] = random.byte() & 0xfe;
    }
  }
  if (four) putIpv4Checksum(bytes, l3, header);
  return bytes;
}

export function putIpv4Checksum(bytes: Uint8Array, l3: number, header: number): void {
  bytes[l3 + 10] = 0;
  bytes[l3 + 11] = 0;
  let sum = 0;
  for (let at = l3; at < l3 + header; at += 2) sum += (bytes[at] << 8) | bytes[at + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  bytes[l3 + 10] = (sum ^ 0xffff) >> 8;
  bytes[l3 + 11] = (sum ^ 0xffff) & 0xff;
}

/** The frame without its last `cut` bytes, and the IP header's length with it; the frame itself when that cannot be. */
export function shortened(original: Uint8Array, cut: number): Uint8Array {
  const bytes = original.slice(0, original.length - cut);
  const l3 = layer3(bytes);
  if (l3 < 0) return original;
  const four = bytes[l3] >> 4 === 4;
  const field = l3 + (four ? 2 : 4);
  const length = ((bytes[field] << 8) | bytes[field + 1]) - cut;
  if (length < (four ? 20 : 0)) return original;
  bytes[field] = length >> 8;
  bytes[field + 1] = length;
  const header = (bytes[l3] & 15) * 4;
  if (four && l3 + header <= bytes.length) putIpv4Checksum(bytes, l3, header);
  return bytes;
}

const INTERESTING = [0, 1, 2, 5, 6, 17, 19, 20, 40, 44, 58, 59, 60, 64, 127, 128, 254, 255];

/**
 * A copy with one to three kinds of damage: bits flipped, bytes set, cut short, grown, length fields changed, the end
 * of another frame put in place of its own.
 */
export function damaged(original: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let bytes = original.slice();
  for (let changes = random.pick([1, 1, 2, 3]); changes > 0; changes--) {
    if (bytes.length === 0) return bytes;
    // Most of what matters to a parser stands in the first hundred bytes.
    const at = random.below(random.below(4) === 0 ? bytes.length : Math.min(bytes.length, 100));
    switch (random.below(8)) {
      case 0:
      case 1:
        bytes[at] ^= 1 << random.below(8);
        break;
      case 2:
        bytes[at] = random.byte();
        break;
      case 3:
        bytes[at] = random.pick(INTERESTING);
        break;
      case 4:
        bytes = bytes.slice(
          0,
          random.below(2) === 0 ? at : bytes.length - 1 - random.below(Math.min(bytes.length, 9)),
        );
        break;
      case 5: {
        const grown = new Uint8Array(bytes.length + random.below(40)).fill(random.byte());
        grown.set(bytes);
        bytes = grown;
        break;
      }
      case 6: {
        const l3 = layer3(bytes);
        if (l3 < 0) break;
        // IHL, total length or payload length, by a little or to anything.
        const field = random.pick(bytes[l3] >> 4 === 4 ? [0, 2, 3, 3] : [4, 5, 5]);
        bytes[l3 + field] += random.below(2) === 0 ? random.below(9) - 4 : random.byte();
        if (bytes[l3] >> 4 === 4 && random.below(2) === 0) {
          const header = (bytes[l3] & 15) * 4;
          if (l3 + header <= bytes.length && header >= 20) putIpv4Checksum(bytes, l3, header);
        }
        break;
      }
      default: {
        const spliced = new Uint8Array(Math.max(at, Math.min(other.length, 9000)));
        spliced.set(other.subarray(0, spliced.length));
        spliced.set(bytes.subarray(0, at));
        bytes = spliced;
      }
    }
  }
  return bytes;
}
