/**
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng) with captured packets, each packet twice:
 *
 *   section: which program on which machine
 *   interface 0, NAME in:  frames as they came in         interface 1, NAME out: frames as they left
 *   packet, packet, ...    the two of one packet have the same epb_packetid, and what became of it as their comment
 *   statistics             at the end: how many there were, and how many were lost
 *
 * Everything is little endian. Names and comments come from the config, the kernel and anyhop itself.
 */
import { release } from 'node:os';
import { VERSION } from '../core/version.js';
import type { CaptureRecord } from './record.js';

const BLOCK = { section: 0x0a0d0d0a, interface: 1, statistics: 5, packet: 6 } as const;
const OPTION = {
  comment: 1,
  section: { hardware: 2, system: 3, program: 4 },
  interface: { name: 2, description: 3, resolution: 9, filter: 11, system: 12 },
  packet: { flags: 2, id: 5, queue: 6 },
  statistics: { start: 2, end: 3, received: 4, dropped: 5, accepted: 6 },
} as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;
/** Ten to the power of minus this many seconds. */
const NANOSECONDS = 9;
/** epb_flags. */
const INBOUND = 1;
const OUTBOUND = 2;
export const IN = 0;
export const OUT = 1;

export interface CaptureFileOptions {
  /** Of the node or host, for people. */
  readonly source: string;
  readonly interface: string;
  readonly snapLength: number;
  /** As the user wrote it. */
  readonly filter: string;
}

/** What stands before the first packet. */
export function startBlocks({ source, interface: name, snapLength, filter }: CaptureFileOptions): Buffer {
  const section = Buffer.alloc(16);
  section.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  section.writeUInt16LE(1, 4); // version 1.0
  section.writeBigInt64LE(-1n, 8); // of a length that is not known yet
  const system = `Linux ${release()}`;
  return Buffer.concat([
    block(BLOCK.section, section, [
      [OPTION.section.hardware, text(process.arch)],
      [OPTION.section.system, text(system)],
      [OPTION.section.program, text(`anyhop ${VERSION}`)],
      [OPTION.comment, text(`captured by anyhop capture: ${source}`)],
    ]),
    ...(['in', 'out'] as const).map((way) => {
      const body = Buffer.alloc(8);
      body.writeUInt16LE(LINKTYPE_ETHERNET, 0);
      body.writeUInt32LE(snapLength, 4);
      return block(BLOCK.interface, body, [
        [OPTION.interface.name, text(`${name} ${way}`)],
        [
          OPTION.interface.description,
          text(way === 'in' ? 'packets as they came in' : 'packets as anyhop sent them on'),
        ],
        [OPTION.interface.resolution, Buffer.of(NANOSECONDS)],
        // 0 says that a string in libpcap's language follows, which this is not; readers show it as it is.
        ...(filter === ''
          ? []
          : [[OPTION.interface.filter, Buffer.concat([Buffer.of(0), text(filter)])] as const]),
        [OPTION.interface.system, text(system)],
      ]);
    }),
  ]);
}

/**
 * The one or two packets of a record. Written into one buffer, byte by byte: by `block` it takes three times as long.
 * @param wallNs since 1970
 * @param snapLength frames are cut to it
 */
export function packetBlocks(
  record: CaptureRecord,
  wallNs: bigint,
  comment: string,
  snapLength: number,
): Buffer {
  const { inBytes, inLength, outBytes, outLength } = record;
  const said = Buffer.from(comment.slice(0, TEXT_CHARS_MAX));
  const [inSnap, outSnap] = [Math.min(inBytes.length, snapLength), Math.min(outBytes.length, snapLength)];
  const inSize = packetSize(inSnap, said.length);
  const size = outLength === 0 ? inSize : inSize + packetSize(outSnap, said.length);
  const bytes = Buffer.alloc(size);
  const high = Number(wallNs >> 32n);
  const low = Number(wallNs & 0xffffffffn);
  putPacket(bytes, 0, inSize, {
    way: IN,
    record,
    frame: inBytes,
    snap: inSnap,
    length: inLength,
    high,
    low,
    said,
  });
  if (outLength > 0)
    putPacket(bytes, inSize, size - inSize, {
      way: OUT,
      record,
      frame: outBytes,
      snap: outSnap,
      length: outLength,
      high,
      low,
      said,
    });
  return bytes;
}

export interface CaptureTotals {
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly packets: number;
  readonly sent: number;
  readonly lost: number;
}

/** What stands behind the last packet. */
export function endBlocks({ startNs, endNs, packets, sent, lost }: CaptureTotals): Buffer {
  const statistics = (way: number, accepted: number, dropped: number): Buffer => {
    const body = Buffer.alloc(12);
    body.writeUInt32LE(way, 0);
    writeTime(body, 4, endNs);
    return block(BLOCK.statistics, body, [
      [OPTION.statistics.start, time(startNs)],
      [OPTION.statistics.end, time(endNs)],
      [OPTION.statistics.received, number64(accepted + dropped)],
      [OPTION.statistics.dropped, number64(dropped)],
      [OPTION.statistics.accepted, number64(accepted)],
    ]);
  };
  return Buffer.concat([statistics(IN, packets, lost), statistics(OUT, sent, 0)]);
}

/** Flags, id and queue as options; the end of the options is all zeros. */
const PACKET_OPTIONS_BYTES = 8 + 12 + 8 + 4;

function packetSize(snap: number, comment: number): number {
  return 12 + 20 + padded(snap) + 4 + padded(comment) + PACKET_OPTIONS_BYTES;
}

interface Packet {
  readonly way: number;
  readonly record: CaptureRecord;
  readonly frame: Uint8Array;
  readonly snap: number;
  /** Of the whole frame. */
  readonly length: number;
  /** Of the time. */
  readonly high: number;
  readonly low: number;
  readonly said: Buffer;
}

/** @param bytes zeros from `at` on */
function putPacket(bytes: Buffer, at: number, size: number, packet: Packet): void {
  const { way, record, frame, snap, length, high, low, said } = packet;
  bytes.writeUInt32LE(BLOCK.packet, at);
  bytes.writeUInt32LE(size, at + 4);
  bytes.writeUInt32LE(way, at + 8);
  bytes.writeUInt32LE(high, at + 12);
  bytes.writeUInt32LE(low, at + 16);
  bytes.writeUInt32LE(snap, at + 20);
  bytes.writeUInt32LE(length, at + 24);
  bytes.set(snap === frame.length ? frame : frame.subarray(0, snap), at + 28);
  let option = at + 28 + padded(snap);
  bytes.writeUInt16LE(OPTION.comment, option);
  bytes.writeUInt16LE(said.length, option + 2);
  bytes.set(said, option + 4);
  option += 4 + padded(said.length);
  bytes.writeUInt16LE(OPTION.packet.flags, option);
  bytes.writeUInt16LE(4, option + 2);
  bytes.writeUInt32LE(way === IN ? INBOUND : OUTBOUND, option + 4);
  bytes.writeUInt16LE(OPTION.packet.id, option + 8);
  bytes.writeUInt16LE(8, option + 10);
  bytes.writeBigUInt64LE(record.id, option + 12);
  bytes.writeUInt16LE(OPTION.packet.queue, option + 20);
  bytes.writeUInt16LE(4, option + 22);
  bytes.writeUInt32LE(record.cpu, option + 24);
  bytes.writeUInt32LE(size, at + size - 4);
}

type Option = readonly [code: number, value: Buffer];

function block(type: number, body: Buffer, options: readonly Option[]): Buffer {
  const optionBytes = options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4);
  const length = 12 + body.length + optionBytes;
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(length, 4);
  body.copy(bytes, 8);
  let at = 8 + body.length;
  for (const [code, value] of options) {
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt16LE(value.length, at + 2);
    value.copy(bytes, at + 4);
    at += 4 + padded(value.length);
  }
  bytes.writeUInt32LE(length, length - 4); // behind the end of the options, which is all zeros
  return bytes;
}

/** Longer than any comment of anyhop; an option has 65,535 bytes at most. */
const TEXT_CHARS_MAX = 4096;

function text(value: string): Buffer {
  return Buffer.from(value.slice(0, TEXT_CHARS_MAX));
}

function number64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function time(ns: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  writeTime(bytes, 0, ns);
  return bytes;
}

/** The upper half comes first, whatever the order of bytes. */
function writeTime(bytes: Buffer, at: number, ns: bigint): void {
  bytes.writeUInt32LE(Number(ns >> 32n), at);
  bytes.writeUInt32LE(Number(ns & 0xffffffffn), at + 4);
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
