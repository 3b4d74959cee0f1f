/**
 * What packet builders are made of: a layer turns the bytes behind it into the bytes from it on. `packet(a, b, c)`
 * encodes from the innermost layer outwards, so every layer knows its payload when it fills in lengths and checksums,
 * and asks the layers around it for the rest (the next header's number, the pseudo-header).
 *
 * Nothing here is shared with src: a builder that used the program's own checksum could not show it wrong.
 */

export interface Layer {
  /** IP protocol (next header) number by which a layer before names this one. */
  readonly protocol: number;
  /** EtherType by which Ethernet names this one; IP layers alone have one. */
  readonly etherType?: number;
  /** Addresses for the transport checksum of the layers behind; IP layers alone have them. */
  readonly addresses?: IpAddresses;
  encode(rest: Uint8Array, around: Around): Uint8Array;
}

/** The neighbourhood of a layer while it is encoded. */
export interface Around {
  /** The layer right behind; undefined for the last. */
  readonly next: Layer | undefined;
  /** Of the closest IP layer before; undefined when there is none. */
  readonly ip: IpAddresses | undefined;
}

export interface IpAddresses {
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
}

/** RFC 8200 section 4.7: nothing follows. What a header says when its payload has no number of its own. */
export const NO_NEXT_HEADER = 59;

/** The bytes of the layers, from the first one on: an IP packet when the first is an IP header. */
export function packet(...layers: Layer[]): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let i = layers.length - 1; i >= 0; i--) {
    const ip = layers.slice(0, i).findLast((layer) => layer.addresses !== undefined)?.addresses;
    bytes = layers[i].encode(bytes, { next: layers[i + 1], ip });
  }
  return bytes;
}

/** `count` bytes of a pattern in which every byte tells its place, or the bytes or text given. */
export function payload(content: number | string | Uint8Array, protocol: number = NO_NEXT_HEADER): Layer {
  const bytes =
    typeof content === 'number'
      ? Uint8Array.from({ length: content }, (_, i) => (i * 7 + (i >> 8)) & 0xff)
      : typeof content === 'string'
        ? new TextEncoder().encode(content)
        : content;
  return { protocol, encode: (rest) => concat(bytes, rest) };
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Big-endian bytes of unsigned fields: `fields([value, bytes], ...)`. */
export function fields(...list: readonly (readonly [value: number, bytes: number])[]): Uint8Array {
  const out: number[] = [];
  for (const [value, bytes] of list) {
    for (let shift = bytes - 1; shift >= 0; shift--) out.push(Math.floor(value / 256 ** shift) % 256);
  }
  return Uint8Array.from(out);
}

/** Zeros that bring `length` to a multiple of `unit`. */
export function pad(length: number, unit: number): Uint8Array {
  return new Uint8Array((unit - (length % unit)) % unit);
}

/** The Internet checksum over the parts as one string of bytes (RFC 1071), not yet mapped for UDP. */
export function checksum(...parts: readonly Uint8Array[]): number {
  const bytes = concat(...parts);
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return 0xffff - sum;
}

/** The pseudo-header of RFC 793 section 3.1 or RFC 8200 section 8.1, whichever the addresses ask for. */
export function pseudoHeader(ip: IpAddresses, protocol: number, length: number): Uint8Array {
  return ip.src.length === 4
    ? concat(ip.src, ip.dst, fields([protocol, 2], [length, 2]))
    : concat(ip.src, ip.dst, fields([length, 4], [protocol, 4]));
}

/** The 4 or 16 bytes of an address in text. The URL parser of the platform reads IPv6 for us. */
export function addressBytes(text: string): Uint8Array {
  if (!text.includes(':')) {
    const parts = text.split('.').map(Number);
    if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) throw new RangeError(text);
    return Uint8Array.from(parts);
  }
  const [head, tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::');
  const words = (part: string | undefined): number[] =>
    part === undefined || part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const left = words(head);
  const right = words(tail);
  const middle = new Array<number>(8 - left.length - right.length).fill(0);
  return fields(...[...left, ...middle, ...right].map((word) => [word, 2] as const));
}

/** The 6 bytes of `02:00:00:00:00:01`. */
export function macBytes(text: string): Uint8Array {
  const bytes = Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
  if (bytes.length !== 6) throw new RangeError(`not a MAC address: ${text}`);
  return bytes;
}
