/**
 * IP addresses and prefixes as values: parsed from text, kept as bytes in network order, printed canonically (IPv6 by RFC 5952).
 * Only for the control side; the packet side reads addresses in place.
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface IpAddress {
  readonly family: 4 | 6;
  /** Network order: 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  /** Canonical text. */
  readonly text: string;
}

export interface IpPrefix {
  /** The first address of the prefix: host bits are zero. */
  readonly address: IpAddress;
  /** 0 to 32 or 128. */
  readonly length: number;
  /** Canonical text, `address/length`. */
  readonly text: string;
}

/** Parses an address; undefined when malformed. No zone (`%eth0`), port or prefix length. */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return addressFromBytes(Uint8Array.from(text.split('.'), Number));
  if (isIPv6(text) && !text.includes('%')) return addressFromBytes(parseIpv6(text));
  return undefined;
}

/** Parses `address/length`, or an address as a prefix of full length; undefined when malformed or when host bits are set. */
export function parsePrefix(text: string): IpPrefix | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = address.bytes.length * 8;
  const lengthText = slash < 0 ? String(bits) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(lengthText) || Number(lengthText) > bits) return undefined;
  const length = Number(lengthText);
  for (let bit = length; bit < bits; bit++) {
    if ((address.bytes[bit >> 3] & (0x80 >> (bit & 7))) !== 0) return undefined;
  }
  return { address, length, text: `${address.text}/${length}` };
}

/** The prefix of this length that has the address in it. */
export function prefixAround({ bytes }: IpAddress, length: number): IpPrefix {
  const first = bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))));
  const address = addressFromBytes(first);
  return { address, length, text: `${address.text}/${length}` };
}

export function addressFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return { family: 4, bytes, text: bytes.join('.') };
  if (bytes.length === 16) return { family: 6, bytes, text: formatIpv6(bytes) };
  throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`);
}

export function prefixContains(prefix: IpPrefix, address: IpAddress): boolean {
  if (prefix.address.family !== address.family) return false;
  for (let bit = 0; bit < prefix.length; bit++) {
    const mask = 0x80 >> (bit & 7);
    if ((prefix.address.bytes[bit >> 3] & mask) !== (address.bytes[bit >> 3] & mask)) return false;
  }
  return true;
}

export function prefixesOverlap(a: IpPrefix, b: IpPrefix): boolean {
  return a.length <= b.length ? prefixContains(a, b.address) : prefixContains(b, a.address);
}

function parseIpv6(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const lastColon = text.lastIndexOf(':');
  let words = text;
  if (text.includes('.')) {
    // The last 32 bits may be dotted (RFC 4291 section 2.2).
    const v4 = text
      .slice(lastColon + 1)
      .split('.')
      .map(Number);
    words = `${text.slice(0, lastColon + 1)}${((v4[0] << 8) | v4[1]).toString(16)}:${((v4[2] << 8) | v4[3]).toString(16)}`;
  }
  const [head = '', tail] = words.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const put = (word: string, index: number): void => {
    const value = Number.parseInt(word, 16);
    bytes[index * 2] = value >> 8;
    bytes[index * 2 + 1] = value & 0xff;
  };
  for (const [i, word] of left.entries()) put(word, i);
  for (const [i, word] of right.entries()) put(word, 8 - right.length + i);
  return bytes;
}

/**
 * RFC 5952: lower case, no leading zeros, the first longest run of two or more zero words as `::`. An IPv4-mapped address ends in
 * dotted form (section 5).
 */
function formatIpv6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => (bytes[i * 2] << 8) | bytes[i * 2 + 1]);
  if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff)
    return `::ffff:${bytes.subarray(12).join('.')}`;
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && words[i + run] === 0) run++;
    if (run > length) {
      start = i;
      length = run;
    }
  }
  const hex = (part: number[]): string => part.map((word) => word.toString(16)).join(':');
  return start < 0 ? hex(words) : `${hex(words.slice(0, start))}::${hex(words.slice(start + length))}`;
}
