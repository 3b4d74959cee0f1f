/**
 * The pcapng file format, read only (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces with time resolution
 * and offset, enhanced, simple and obsolete packet blocks. Other blocks are skipped unread.
 */
import type { ByteReader } from './byte-reader.js';
import { FRAME_BYTES_MAX, FrameMaker, linkOf } from './link-type.js';
import { type CapturedPacket, captureError, packetOf, takeWhole, viewOf } from './pcap.js';

const BLOCK = { section: 0x0a0d0d0a, interface: 1, packet: 2, simple: 3, enhanced: 6 } as const;
const OPTION = { end: 0, tsresol: 9, tsoffset: 14 } as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Limit of a block that is read: a packet and its options. Wireshark has the same limit. */
const BLOCK_BYTES_MAX = 16 * 1024 * 1024;
/** More than any machine has; a file must not fill memory with them. */
const INTERFACES_MAX = 65_536;

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  /** Nanoseconds are ticks * multiplier / divisor + offset. */
  readonly multiplier: bigint;
  readonly divisor: bigint;
  readonly offsetNs: bigint;
}

/** The state that earlier blocks have set. */
interface Section {
  little: boolean;
  interfaces: Interface[];
}

/** Called for a packet of an unknown link type. */
export type OnSkip = (linkType: number) => void;

/** Position of a block, for messages. */
interface Place {
  readonly name: string;
  /** Of its first byte in the file. */
  readonly offset: number;
}

/** Whether these bytes, at least four, start a pcapng file. The block type is the same in both byte orders. */
export function isPcapng(start: Uint8Array): boolean {
  return start.length >= 4 && viewOf(start).getUint32(0, true) === BLOCK.section;
}

/**
 * The packets of a pcapng file, without those of unknown link types. All whole blocks come before the error about a damaged one,
 * as with tcpdump.
 * @throws AnyhopError ERR_CAPTURE_FILE, with the byte offset
 */
export function* readPcapng(
  reader: ByteReader,
  name: string,
  onSkip: OnSkip,
): Generator<CapturedPacket, void, undefined> {
  const section: Section = { little: true, interfaces: [] };
  const maker = new FrameMaker();
  let number = 0;
  for (;;) {
    const place = { name, offset: reader.offset };
    if (reader.peek(1).length === 0) return;
    // Type and length, then the byte order magic if a section starts.
    const start = viewOf(reader.peek(12));
    if (start.byteLength < 12) takeWhole(reader, 12, name, 'a block');
    if (start.getUint32(0, section.little) === BLOCK.section) startSection(section, start, place);
    const type = start.getUint32(0, section.little);
    const length = start.getUint32(4, section.little);
    if (length < 12 || length % 4 !== 0) {
      throw captureError(
        name,
        place.offset,
        `a block of ${length} bytes; a multiple of 4, 12 or more is possible`,
      );
    }
    const body = takeBody(reader, type, length, section.little, place);
    if (body === undefined) continue;
    if (type === BLOCK.section) checkVersion(body, section.little, place);
    else if (type === BLOCK.interface) addInterface(section, body, place);
    else {
      number++;
      const { port, record, timestampNs, originalLength } = readPacket(type, body, section, place);
      const link = linkOf(port.linkType);
      if (link === undefined) onSkip(port.linkType);
      else yield packetOf(number, link, maker, record, timestampNs, originalLength);
    }
  }
}

function startSection(section: Section, start: DataView, place: Place): void {
  const magic = start.getUint32(8, true);
  section.little = magic === BYTE_ORDER_MAGIC;
  section.interfaces = [];
  if (section.little || start.getUint32(8, false) === BYTE_ORDER_MAGIC) return;
  throw captureError(place.name, place.offset + 8, `a section with byte order magic 0x${magic.toString(16)}`);
}

function checkVersion(body: DataView, little: boolean, { name, offset }: Place): void {
  needBytes(body, 16, { name, offset });
  const major = body.getUint16(4, little);
  if (major !== 1) throw captureError(name, offset + 12, `pcapng version ${major}; only 1 is known`);
}

/** Takes a whole block and returns its body; undefined for a block that is not needed. */
function takeBody(
  reader: ByteReader,
  type: number,
  length: number,
  little: boolean,
  { name, offset }: Place,
): DataView | undefined {
  const wanted = (Object.values(BLOCK) as number[]).includes(type);
  if (wanted && length > BLOCK_BYTES_MAX) {
    throw captureError(name, offset, `a block of ${length} bytes; at most ${BLOCK_BYTES_MAX} make sense`);
  }
  if (!wanted) {
    const skipped = reader.skip(length - 4);
    if (skipped < length - 4) {
      throw captureError(
        name,
        offset,
        `the file is cut short: a block needs ${length} bytes, ${skipped} are there`,
      );
    }
    requireTrailer(
      viewOf(takeWhole(reader, 4, name, 'the end of a block')).getUint32(0, little),
      length,
      name,
      offset,
    );
    return undefined;
  }
  const block = takeWhole(reader, length, name, 'a block');
  requireTrailer(viewOf(block).getUint32(length - 4, little), length, name, offset);
  return viewOf(block.subarray(8, length - 4));
}

function requireTrailer(trailer: number, length: number, name: string, offset: number): void {
  if (trailer === length) return;
  throw captureError(
    name,
    offset,
    `a block says at its start that it has ${length} bytes and at its end ${trailer}`,
  );
}

function addInterface({ interfaces, little }: Section, body: DataView, place: Place): void {
  if (interfaces.length === INTERFACES_MAX) {
    throw captureError(place.name, place.offset, `more than ${INTERFACES_MAX} interfaces in a section`);
  }
  interfaces.push(readInterface(body, little, place));
}

function readInterface(body: DataView, little: boolean, place: Place): Interface {
  needBytes(body, 8, place);
  const resolution = option(body, 8, OPTION.tsresol, 1, little, place);
  const offset = option(body, 8, OPTION.tsoffset, 8, little, place);
  const code = resolution === undefined ? 6 : body.getUint8(resolution);
  const base = code < 128 ? 10n : 2n;
  return {
    linkType: body.getUint16(0, little),
    snapLength: body.getUint32(4, little),
    multiplier: 1_000_000_000n,
    divisor: base ** BigInt(code & 127),
    offsetNs: offset === undefined ? 0n : body.getBigInt64(offset, little) * 1_000_000_000n,
  };
}

/** Offset of the value of the first option with this code and length; undefined when there is none. */
function option(
  body: DataView,
  from: number,
  code: number,
  length: number,
  little: boolean,
  place: Place,
): number | undefined {
  for (let at = from; at + 4 <= body.byteLength; ) {
    const found = body.getUint16(at, little);
    const size = body.getUint16(at + 2, little);
    if (found === OPTION.end) return undefined;
    if (at + 4 + size > body.byteLength) {
      throw captureError(
        place.name,
        place.offset + 8 + at,
        `option ${found} of ${size} bytes goes past its block`,
      );
    }
    if (found === code && size === length) return at + 4;
    at += 4 + Math.ceil(size / 4) * 4;
  }
  return undefined;
}

interface Recorded {
  readonly port: Interface;
  readonly record: Uint8Array;
  readonly timestampNs: bigint;
  readonly originalLength: number;
}

function readPacket(type: number, body: DataView, section: Section, place: Place): Recorded {
  const { little } = section;
  const headBytes = type === BLOCK.simple ? 4 : 20;
  needBytes(body, headBytes, place);
  const id =
    type === BLOCK.simple ? 0 : type === BLOCK.packet ? body.getUint16(0, little) : body.getUint32(0, little);
  const port = section.interfaces[id];
  if (port === undefined) {
    throw captureError(
      place.name,
      place.offset,
      `a packet of interface ${id}, and ${section.interfaces.length} were described`,
    );
  }
  const room = body.byteLength - headBytes;
  const originalLength = body.getUint32(headBytes - 4, little);
  // A simple block has no captured length; it follows from the snap length.
  const snapped = Math.min(originalLength, port.snapLength === 0 ? originalLength : port.snapLength);
  const length = type === BLOCK.simple ? snapped : body.getUint32(12, little);
  // Records of other links may be longer, such as a USB transfer.
  const most = linkOf(port.linkType) === undefined ? room : Math.min(room, FRAME_BYTES_MAX);
  if (length > most) {
    throw captureError(
      place.name,
      place.offset,
      `a packet of ${length} bytes in a block with room for ${most}`,
    );
  }
  const ticks =
    type === BLOCK.simple
      ? 0n
      : (BigInt(body.getUint32(4, little)) << 32n) | BigInt(body.getUint32(8, little));
  return {
    port,
    record: new Uint8Array(body.buffer, body.byteOffset + headBytes, length),
    timestampNs: type === BLOCK.simple ? 0n : (ticks * port.multiplier) / port.divisor + port.offsetNs,
    originalLength,
  };
}

function needBytes(body: DataView, length: number, { name, offset }: Place): void {
  if (body.byteLength >= length) return;
  throw captureError(
    name,
    offset,
    `a block whose body has ${body.byteLength} bytes; its kind needs ${length}`,
  );
}
