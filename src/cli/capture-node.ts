/** Records of packets from a node's process, over its control socket (api/capture.ts): of the engines portable and af_xdp. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { ErrorReport } from '../api/api.js';
import {
  type CaptureReport,
  FRAME,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  fieldsOf,
  noCapture,
  readCaptureNames,
} from '../api/capture.js';
import type { CaptureFilter, CaptureNames, CaptureRecord, CaptureSource } from '../capture/record.js';
import { readRecords } from '../capture/record-bytes.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { printable } from '../core/printable.js';
import { cannotAsk, Refusal } from './control-client.js';

/** The node says something at least once a second. */
const SILENCE_MS = 10_000;
/** How often records are looked for while there are none. */
const POLL_MS = 10;
/** Bytes that wait to be read here before the connection is paused: the node's ring is the buffer, and counts. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024;

export class NodeCapture implements CaptureSource {
  readonly point = 'forwarder';
  readonly interface: string;
  readonly description: string;
  readonly #socket: string;
  #names: CaptureNames;
  #lost = 0;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  /** Of the frame that is not whole yet. */
  #pieces: Buffer[] = [];
  #bytes = 0;
  #needed = FRAME_HEADER_BYTES;
  #records: Buffer[] = [];
  #waiting = 0;
  #failure: Error | undefined;
  #isOver = false;

  constructor(socket: string, { node, engine, interface: name, names }: CaptureReport) {
    this.#socket = socket;
    this.interface = name;
    this.description = `node ${node}, engine ${engine}, on ${name}`;
    this.#names = names;
  }

  async names(): Promise<CaptureNames> {
    return this.#names;
  }

  get lost(): number {
    return this.#lost;
  }

  /** @throws Refusal when somebody captures already; AnyhopError ERR_SOCKET */
  async arm(filter: CaptureFilter): Promise<void> {
    const body = JSON.stringify(fieldsOf(filter, this.#names));
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const asked = request(
        {
          socketPath: this.#socket,
          method: 'POST',
          path: '/capture',
          headers,
          agent: false,
          timeout: SILENCE_MS,
        },
        resolve,
      );
      asked.on('timeout', () => asked.destroy(new Error('the node is silent')));
      asked.on('error', (cause) => {
        this.#failure ??= cannotAsk(this.#socket, cause);
        this.#isOver = true;
        reject(this.#failure);
      });
      asked.end(body);
      this.#request = asked;
    });
    if (response.statusCode !== 200) throw await refusalOf(response);
    this.#response = response;
    response.on('data', (piece: Buffer) => this.#take(piece));
    response.on('error', (cause) => {
      this.#failure ??= cannotAsk(this.#socket, cause);
    });
    response.once('close', () => {
      this.#isOver = true;
    });
  }

  async read(waitMs: number): Promise<readonly CaptureRecord[] | undefined> {
    const end = performance.now() + waitMs;
    for (;;) {
      const waiting = this.#records;
      this.#records = [];
      this.#waiting = 0;
      if (this.#response?.isPaused()) this.#response.resume();
      if (waiting.length > 0) return waiting.flatMap(readRecords);
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isOver) return undefined;
      const left = end - performance.now();
      if (left <= 0) return [];
      await delay(Math.min(POLL_MS, left));
    }
  }

  async close(): Promise<void> {
    this.#failure ??= new Error('closed');
    this.#request?.destroy();
  }

  #take(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes < this.#needed) return;
    let bytes = Buffer.concat(this.#pieces);
    this.#needed = FRAME_HEADER_BYTES;
    while (bytes.length >= FRAME_HEADER_BYTES) {
      const length = bytes.readUInt32LE(4);
      if (length > FRAME_BYTES_MAX) {
        this.#failure = noCapture(this.#socket);
        this.#request?.destroy();
        return;
      }
      this.#needed = FRAME_HEADER_BYTES + length;
      if (bytes.length < this.#needed) break;
      this.#frame(bytes.readUInt32LE(0), bytes.subarray(FRAME_HEADER_BYTES, this.#needed));
      bytes = bytes.subarray(this.#needed);
      this.#needed = FRAME_HEADER_BYTES;
    }
    this.#pieces = [bytes];
    this.#bytes = bytes.length;
  }

  /** Of a kind that is not known, of a newer node, there is nothing to know. */
  #frame(kind: number, bytes: Buffer): void {
    if (kind === FRAME.records) {
      this.#records.push(bytes);
      this.#waiting += bytes.length;
      if (this.#waiting > WAITING_BYTES_MAX) this.#response?.pause();
      return;
    }
    try {
      if (kind === FRAME.names) this.#names = readCaptureNames(JSON.parse(bytes.toString()), this.#socket);
      else if (kind === FRAME.lost) this.#lost = Number(JSON.parse(bytes.toString()).lost) || 0;
    } catch {
      this.#failure = noCapture(this.#socket);
      this.#request?.destroy();
    }
  }
}

async function refusalOf(response: IncomingMessage): Promise<AnyhopError> {
  let text = '';
  for await (const part of response) {
    text += part;
    if (text.length > 65_536) break;
  }
  try {
    const { error } = JSON.parse(text) as { error?: ErrorReport };
    if (typeof error?.message === 'string') return new Refusal(response.statusCode ?? 0, error);
  } catch {
    // It is said below.
  }
  return new AnyhopError('ERR_SOCKET', `the node answers ${response.statusCode}: ${printable(text.trim())}`, {
    exitCode: EXIT.failure,
  });
}
