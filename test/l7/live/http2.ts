/**
 * A client of HTTP/2 that sends header fields and frames as they are, valid or not, which no library would: one request with stream 1,
 * then one that nobody can object to with stream 3. Fields are literals without Huffman coding (RFC 7541, section 6.2.2).
 */
import type { Duplex } from 'node:stream';

export interface Http2Request {
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** One frame each; without any, the headers end the stream. */
  readonly data?: readonly string[];
  readonly trailers?: readonly (readonly [name: string, value: string])[];
}

export interface Http2Outcome {
  /** By stream; missing when there was no answer. */
  readonly statuses: Readonly<Record<number, number>>;
  /** Error codes by stream. */
  readonly resets: Readonly<Record<number, number>>;
  /** Error code when the connection was given up. */
  readonly goaway: number | undefined;
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
/** Entries 8 to 14 of the static table. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500];
const FRAME_HEAD_BYTES = 9;
const DEADLINE_MS = 20_000;

/** Resolves when both streams have ended, or the connection has. */
export function http2Exchange(
  socket: Duplex,
  request: Http2Request,
  second: Http2Request,
): Promise<Http2Outcome> {
  return new Promise((resolve, reject) => {
    const [statuses, resets]: Record<number, number>[] = [{}, {}];
    const ended = new Set<number>();
    let goaway: number | undefined;
    let rest: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end: ${JSON.stringify({ statuses, resets, goaway, ended: [...ended] })}`));
    }, DEADLINE_MS);
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ statuses: statuses!, resets: resets!, goaway });
    };
    const take = (type: number, flags: number, stream: number, payload: Buffer): void => {
      if (type === TYPE.settings && (flags & ACK) === 0) socket.write(frame(TYPE.settings, ACK, 0));
      if (type === TYPE.ping && (flags & ACK) === 0) socket.write(frame(TYPE.ping, ACK, 0, payload));
      if (type === TYPE.headers) statuses![stream] ??= statusOf(payload);
      if (type === TYPE.reset) resets![stream] = payload.readUInt32BE(0);
      if (type === TYPE.goaway) goaway = payload.readUInt32BE(4);
      if (type === TYPE.reset || (type <= TYPE.headers && (flags & END_STREAM) !== 0)) ended.add(stream);
      if (ended.has(1) && ended.has(3)) finish();
    };
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= FRAME_HEAD_BYTES) {
        const end = FRAME_HEAD_BYTES + rest.readUIntBE(0, 3);
        if (rest.length < end) return;
        const payload = rest.subarray(FRAME_HEAD_BYTES, end);
        take(rest[3]!, rest[4]!, rest.readUInt32BE(5), payload);
        rest = rest.subarray(end);
      }
    });
    for (const event of ['end', 'close', 'error']) socket.on(event, finish);
    socket.write(Buffer.concat([Buffer.from(PREFACE), frame(TYPE.settings, 0, 0)]));
    socket.write(Buffer.concat([...frames(request, 1), ...frames(second, 3)]));
  });
}

function frames({ fields, data = [], trailers }: Http2Request, stream: number): Buffer[] {
  const last = data.length + (trailers === undefined ? 0 : 1);
  const flag = (index: number): number => (index === last ? END_STREAM : 0);
  return [
    frame(TYPE.headers, END_HEADERS | flag(0), stream, block(fields)),
    ...data.map((part, i) => frame(TYPE.data, flag(i + 1), stream, Buffer.from(part, 'latin1'))),
    ...(trailers === undefined
      ? []
      : [frame(TYPE.headers, END_HEADERS | END_STREAM, stream, block(trailers))]),
  ];
}

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function block(fields: Http2Request['fields']): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) => Buffer.concat([Buffer.of(0), literal(name), literal(value)])),
  );
}

/** Of up to 16,510 bytes: the length with a prefix of 7 bits (section 5.1). */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const { length } = bytes;
  if (length < 127) return Buffer.concat([Buffer.of(length), bytes]);
  const more = length - 127;
  const head = more < 128 ? [127, more] : [127, 128 | (more & 127), more >> 7];
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** The first field of an answer: an entry of the static table, or three digits as a literal. */
function statusOf(payload: Buffer): number {
  const first = payload[0]!;
  if (first >= 0x88 && first <= 0x8e) return STATUSES[first - 0x88]!;
  return Number(/\d{3}/.exec(payload.toString('latin1', 0, 8))?.[0] ?? 0);
}
