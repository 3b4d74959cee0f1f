/** What both halves of the oracle need: bounds-checked reads, the checksum, and the error. */

/** Thrown with a sentence that says what is wrong with a packet. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

export function expect(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Malformed(sentence);
}

export function u8(bytes: Uint8Array, at: number): number {
  if (at >= bytes.length) throw new Malformed(`byte ${at} is wanted, there are ${bytes.length}`);
  return bytes[at];
}

export function u16(bytes: Uint8Array, at: number): number {
  return u8(bytes, at) * 256 + u8(bytes, at + 1);
}

/** Unsigned. */
export function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 65536 + u16(bytes, at + 2);
}

/** RFC 1071 over several strings of bytes of even length (the last may be odd); 0 when they carry a right checksum. */
export function internetChecksum(...parts: Uint8Array[]): number {
  let sum = 0n;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) sum += BigInt(part[i]) << (i % 2 === 0 ? 8n : 0n);
  }
  while (sum >> 16n > 0n) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(sum ^ 0xffffn);
}

/** Canonical text (RFC 5952), by way of the platform's URL serializer. */
export function ipv6Text(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => u16(bytes, i * 2).toString(16));
  return new URL(`http://[${words.join(':')}]/`).hostname.slice(1, -1);
}
