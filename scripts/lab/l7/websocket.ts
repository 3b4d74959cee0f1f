/**
 * WebSocket frames (RFC 6455, section 5), as the tests' server and client need them: whole messages of one frame each, without
 * extensions. A frame in several pieces is put together; a fragmented message is not.
 */
import { createHash, randomBytes } from 'node:crypto';

export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export const PAYLOAD_BYTES_MAX = 65_535;

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const FIN = 0x80;
const MASKED = 0x80;
const LENGTH_16 = 126;
const MASK_BYTES = 4;

/** What a server answers to a client's key (RFC 6455, section 4.2.2). */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64');
}

/** A frame's bytes; a client's are masked. The payload has PAYLOAD_BYTES_MAX bytes at most. */
export function encodeFrame({ opcode, payload }: Frame, masked: boolean): Buffer {
  if (payload.length > PAYLOAD_BYTES_MAX) throw new RangeError(`a payload of ${payload.length} bytes`);
  const long = payload.length >= LENGTH_16;
  const head = Buffer.alloc(long ? 4 : 2);
  head[0] = FIN | opcode;
  head[1] = (masked ? MASKED : 0) | (long ? LENGTH_16 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = randomBytes(MASK_BYTES);
  return Buffer.concat([head, mask, applyMask(payload, mask)]);
}

/** Takes bytes as they come in and gives the frames that are whole. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws Error on a frame that the other side may not send here */
  read(bytes: Buffer): Frame[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | undefined {
    const bytes = this.#rest;
    if (bytes.length < 2) return undefined;
    if ((bytes[0]! & 0xf0) !== FIN) throw new Error('a fragment, or a reserved bit');
    const short = bytes[1]! & 0x7f;
    if (short > LENGTH_16) throw new Error(`a payload of more than ${PAYLOAD_BYTES_MAX} bytes`);
    const headBytes = short === LENGTH_16 ? 4 : 2;
    const maskBytes = (bytes[1]! & MASKED) === 0 ? 0 : MASK_BYTES;
    if (bytes.length < headBytes) return undefined;
    const length = short === LENGTH_16 ? bytes.readUInt16BE(2) : short;
    const start = headBytes + maskBytes;
    if (bytes.length < start + length) return undefined;
    const payload = bytes.subarray(start, start + length);
    const mask = bytes.subarray(headBytes, start);
    this.#rest = bytes.subarray(start + length);
    return { opcode: bytes[0]! & 0x0f, payload: maskBytes === 0 ? payload : applyMask(payload, mask) };
  }
}

function applyMask(payload: Buffer, mask: Buffer): Buffer {
  return Buffer.from(payload.map((byte, i) => byte ^ mask[i % MASK_BYTES]!));
}
