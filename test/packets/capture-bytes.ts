/** Capture files in every form that the formats allow, made byte by byte for the tests of their readers. */
import { concat } from './layer.js';

export interface Packet {
  frame: Uint8Array;
  timestampNs: bigint;
  originalLength: number;
}

export interface PcapForm {
  little: boolean;
  nanoseconds: boolean;
  linkType?: number;
}

export function pcapFile(form: PcapForm, packets: readonly Packet[]): Uint8Array {
  const n = numbers(form.little);
  const tick = form.nanoseconds ? 1n : 1000n;
  return concat(
    n.u32(form.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4),
    n.u16(2),
    n.u16(4),
    n.u32(0, 0, 262144, form.linkType ?? 1),
    ...packets.map(({ frame, timestampNs, originalLength }) =>
      concat(
        n.u32(Number(timestampNs / 1_000_000_000n), Number((timestampNs % 1_000_000_000n) / tick)),
        n.u32(frame.length, originalLength),
        frame,
      ),
    ),
  );
}

export interface PcapngForm {
  little: boolean;
  block: 'enhanced' | 'simple' | 'obsolete';
  /** if_tsresol; absent means microseconds. */
  resolution?: number;
  /** if_tsoffset in seconds. */
  offset?: bigint;
  linkType?: number;
  snapLength?: number;
  /** Put a block of an unknown type, a comment and a statistics block between the packets. */
  strangers?: boolean;
  /** Of more interfaces; packet `i` is then captured on `on[i]`, the first interface being 0. */
  moreLinks?: readonly number[];
  on?: readonly number[];
  /** Leave the interface description out, as no capturer would. */
  noInterface?: boolean;
}

/** One section, with one interface unless more are asked for. Sections can be joined: each stands for itself. */
export function pcapngSection(form: PcapngForm, packets: readonly Packet[]): Uint8Array {
  const n = numbers(form.little);
  const block = (type: number, ...parts: Uint8Array[]): Uint8Array => {
    const body = padded(concat(...parts));
    return concat(n.u32(type, body.length + 12), body, n.u32(body.length + 12));
  };
  const option = (code: number, value: Uint8Array): Uint8Array =>
    concat(n.u16(code), n.u16(value.length), padded(value));
  const end = option(0, new Uint8Array(0));
  const comment = option(1, new TextEncoder().encode('made for a test'));
  const stranger = block(0x0bad_cafe, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const ticksPerSecond =
    (form.resolution ?? 6) < 128 ? 10n ** BigInt(form.resolution ?? 6) : 2n ** BigInt(form.resolution! & 127);
  const one = ({ frame, timestampNs, originalLength }: Packet, index: number): Uint8Array => {
    const port = form.on?.[index] ?? 0;
    const ns = timestampNs - (form.offset ?? 0n) * 1_000_000_000n;
    const ticks = (ns * ticksPerSecond) / 1_000_000_000n;
    const stamp = n.u32(Number(ticks >> 32n), Number(ticks & 0xffff_ffffn));
    const lengths = n.u32(frame.length, originalLength);
    if (form.block === 'simple') return block(3, n.u32(originalLength), frame);
    if (form.block === 'obsolete') return block(2, n.u16(port), n.u16(0xffff), stamp, lengths, frame);
    return block(6, n.u32(port), stamp, lengths, padded(frame), comment, end);
  };
  return concat(
    block(0x0a0d0d0a, n.u32(0x1a2b3c4d), n.u16(1), n.u16(0), n.u64(-1n), comment, end),
    form.noInterface
      ? new Uint8Array(0)
      : block(
          1,
          n.u16(form.linkType ?? 1),
          n.u16(0),
          n.u32(form.snapLength ?? 0),
          comment,
          ...(form.resolution === undefined ? [] : [option(9, Uint8Array.of(form.resolution))]),
          ...(form.offset === undefined ? [] : [option(14, n.u64(form.offset))]),
          end,
        ),
    ...(form.moreLinks ?? []).map((link) => block(1, n.u16(link), n.u16(0), n.u32(0), end)),
    ...packets.flatMap((packet, index) =>
      form.strangers ? [stranger, one(packet, index)] : [one(packet, index)],
    ),
  );
}

function padded(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
}

function numbers(little: boolean): {
  u16: (value: number) => Uint8Array;
  u32: (...values: number[]) => Uint8Array;
  u64: (value: bigint) => Uint8Array;
} {
  return {
    u16(value) {
      const view = new DataView(new ArrayBuffer(2));
      view.setUint16(0, value, little);
      return new Uint8Array(view.buffer);
    },
    u32(...values) {
      const view = new DataView(new ArrayBuffer(4 * values.length));
      for (const [i, value] of values.entries()) view.setUint32(i * 4, value, little);
      return new Uint8Array(view.buffer);
    },
    u64(value) {
      const view = new DataView(new ArrayBuffer(8));
      view.setBigInt64(0, value, little);
      return new Uint8Array(view.buffer);
    },
  };
}
