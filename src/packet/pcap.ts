/**
 * The pcap file format (draft-ietf-opsawg-pcap, and libpcap's savefile.c for common practice).
 *
 * Reads both byte orders, with timestamps in micro- or nanoseconds. Writes nanoseconds in this machine's byte order, so that no
 * timestamp loses precision; libpcap since 1.5 (2013) and Wireshark read that.
 */
import { AnyhopError, EXIT } from '../core/errors.js';
import type { ByteReader } from './byte-reader.js';
import { FRAME_BYTES_MAX, FrameMaker, frameLength, KNOWN_LINKS, type Link, linkOf } from './link-type.js';

export interface CapturedPacket {
  /** Its number in the file, from 1, as other programs count; skipped packets count too. */
  readonly number: number;
  /** An Ethernet frame, valid until the next packet is requested. */
  readonly frame: Uint8Array;
  /** Since 1970 UTC; 0 when the file has no time (simple packet blocks of pcapng). */
  readonly timestampNs: bigint;
  /** Length of the frame on the wire, with a made-up header counted. */
  readonly originalLength: number;
  /** Cut short by the capture's snap length. */
  readonly truncated: boolean;
}

const LINKTYPE_ETHERNET = 1;

const HEADER_BYTES = 24;
const RECORD_BYTES = 16;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;

/** Whether these bytes, at least four, start a pcap file. */
export function isPcap(start: Uint8Array): boolean {
  if (start.length < 4) return false;
  const view = viewOf(start);
  return [true, false].some((little) =>
    [MAGIC_MICROSECONDS, MAGIC_NANOSECONDS].includes(view.getUint32(0, little)),
  );
}

/**
 * The packets of a pcap file. All whole records come before the error about a damaged one, as with tcpdump.
 * @throws AnyhopError ERR_CAPTURE_FILE, with the byte offset
 */
export function* readPcap(reader: ByteReader, name: string): Generator<CapturedPacket, void, undefined> {
  const header = viewOf(takeWhole(reader, HEADER_BYTES, name, 'the file header'));
  const little = header.getUint8(0) !== 0xa1;
  const nanosecondsPerTick = header.getUint32(0, little) === MAGIC_NANOSECONDS ? 1n : 1000n;
  const major = header.getUint16(4, little);
  const minor = header.getUint16(6, little);
  if (major !== 2 || minor !== 4) {
    throw captureError(name, 4, `pcap version ${major}.${minor}; only 2.4 is known`);
  }
  // The upper bits describe a frame check sequence, which does not matter: lengths come from the IP header.
  const linkType = header.getUint32(20, little) & 0x03ff_ffff;
  const link = linkOf(linkType);
  if (link === undefined) {
    throw captureError(
      name,
      20,
      `link type ${linkType}; known are ${KNOWN_LINKS}`,
      'https://www.tcpdump.org/linktypes.html has the names; capture on an Ethernet interface, or on "any".',
    );
  }
  const maker = new FrameMaker();
  for (let number = 1; ; number++) {
    const at = reader.offset;
    if (reader.peek(1).length === 0) return;
    const head = viewOf(takeWhole(reader, RECORD_BYTES, name, 'a record header'));
    const seconds = head.getUint32(0, little);
    const fraction = head.getUint32(4, little);
    const length = head.getUint32(8, little);
    const originalLength = head.getUint32(12, little);
    if (length > FRAME_BYTES_MAX) {
      throw captureError(name, at, `a record of ${length} bytes; at most ${FRAME_BYTES_MAX} are possible`);
    }
    const record = takeWhole(reader, length, name, 'a packet');
    const timestampNs = BigInt(seconds) * 1_000_000_000n + BigInt(fraction) * nanosecondsPerTick;
    yield packetOf(number, link, maker, record, timestampNs, originalLength);
  }
}

/** Header of a pcap file of Ethernet frames with nanosecond timestamps. */
export function pcapHeader(): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = viewOf(header);
  view.setUint32(0, MAGIC_NANOSECONDS, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, FRAME_BYTES_MAX, true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  return header;
}

/**
 * Writes one record at `offset` of `target`, and returns its length: RECORD_BYTES plus the frame's.
 * @param timestampNs since 1970, below 2^32 seconds
 */
export function putPcapRecord(
  target: Uint8Array,
  offset: number,
  frame: Uint8Array,
  timestampNs: bigint,
  originalLength: number,
): number {
  const view = new DataView(target.buffer, target.byteOffset + offset);
  view.setUint32(0, Number(timestampNs / 1_000_000_000n), true);
  view.setUint32(4, Number(timestampNs % 1_000_000_000n), true);
  view.setUint32(8, frame.length, true);
  view.setUint32(12, originalLength, true);
  target.set(frame, offset + RECORD_BYTES);
  return RECORD_BYTES + frame.length;
}

/** Bytes that a frame takes in a file. */
export function pcapRecordBytes(frame: Uint8Array): number {
  return RECORD_BYTES + frame.length;
}

/** Exactly `length` bytes; throws the error about a file that ends within `what`. */
export function takeWhole(reader: ByteReader, length: number, name: string, what: string): Uint8Array {
  const at = reader.offset;
  const bytes = reader.take(length);
  if (bytes.length === length) return bytes;
  throw captureError(
    name,
    at,
    `the file is cut short: ${what} needs ${length} bytes, ${bytes.length} are there`,
    'The packets before this place are whole; the capturing program was probably stopped while it wrote.',
  );
}

/** The packet of a record. */
export function packetOf(
  number: number,
  link: Link,
  maker: FrameMaker,
  record: Uint8Array,
  timestampNs: bigint,
  recordedLength: number,
): CapturedPacket {
  const frame = maker.frame(link, record);
  const originalLength = frameLength(link, recordedLength);
  return { number, frame, timestampNs, originalLength, truncated: frame.length < originalLength };
}

export function captureError(name: string, offset: number, message: string, hint?: string): AnyhopError {
  return new AnyhopError('ERR_CAPTURE_FILE', `${name}: byte ${offset}: ${message}`, {
    exitCode: EXIT.failure,
    ...(hint === undefined ? {} : { hint }),
  });
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
