/**
 * Clients that capture: one at a time, from the first byte of its answer to the end of its connection. Every 20 ms what has been recorded is passed on. A
 * client that does not read gets no more until it does; the engine's ring fills meanwhile, and what finds no room there is counted: forwarding never waits.
 */
import type { ServerResponse } from 'node:http';
import type { CaptureNames } from '../capture/record.js';
import {
  CAPTURE_CHUNK_BYTES,
  CAPTURE_SILENCE_MS,
  CAPTURE_UNREAD_BYTES_MAX,
  FOLLOW_LINE_MS,
} from '../core/limits.js';
import type { Recording } from '../engine/capture/recording.js';
import { HEADERS } from './answer.js';
import { ControlError } from './api.js';
import { FRAME, frameHeader } from './capture.js';

const TURN_MS = 20;
/** In one turn: packets come first. */
const CHUNKS_PER_TURN = 16;
const STREAM_HEADERS = { ...HEADERS, 'content-type': 'application/octet-stream' };

/** What a route answers that begins to record. */
export class Recorded {
  readonly begin: () => Promise<Recording>;
  /** The same object until other names are in force. */
  readonly names: () => CaptureNames;

  constructor(begin: () => Promise<Recording>, names: () => CaptureNames) {
    this.begin = begin;
    this.names = names;
  }
}

export class Recorders {
  #current: Recorder | 'begins' | undefined;

  /** @throws ControlError 429 when somebody captures, and whatever `begin` throws */
  async add(recorded: Recorded, response: ServerResponse): Promise<void> {
    if (this.#current !== undefined)
      throw new ControlError(429, 'ERR_BUSY', 'somebody captures here already', {
        hint: 'One capture runs at a time, so that packets are looked at once. `ss -xp` shows whose it is.',
      });
    this.#current = 'begins';
    let recording: Recording;
    try {
      recording = await recorded.begin();
    } catch (error) {
      this.#current = undefined;
      throw error;
    }
    const recorder = new Recorder(recording, recorded.names, response);
    this.#current = recorder;
    const over = async (): Promise<void> => {
      recorder.close();
      await recording.end().catch(() => undefined); // the engine has ended
      this.#current = undefined;
    };
    if (response.destroyed) await over();
    else response.once('close', () => void over());
  }

  /** The node ends. */
  end(): void {
    if (this.#current instanceof Recorder) this.#current.end();
  }
}

class Recorder {
  readonly #recording: Recording;
  readonly #names: () => CaptureNames;
  readonly #response: ServerResponse;
  readonly #timer: NodeJS.Timeout;
  /** A turn before its time: the client has read all. */
  #next: NodeJS.Immediate | undefined;
  #told: CaptureNames | undefined;
  #lost = -1;
  #lostToldMs = 0;
  /** Since when the client has not read. */
  #waitsSinceMs: number | undefined;

  constructor(recording: Recording, names: () => CaptureNames, response: ServerResponse) {
    this.#recording = recording;
    this.#names = names;
    this.#response = response;
    response.setHeaders(new Map(Object.entries(STREAM_HEADERS)));
    response.on('drain', () => {
      if (this.#waitsSinceMs === undefined) return;
      this.#waitsSinceMs = undefined;
      this.#next ??= setImmediate(() => {
        this.#next = undefined;
        if (!response.destroyed && !response.writableEnded) this.#turn();
      });
    });
    this.#timer = setInterval(() => this.#turn(), TURN_MS).unref();
    this.#turn();
  }

  close(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#next);
  }

  end(): void {
    this.#turn();
    this.close();
    this.#response.end();
  }

  #turn(): void {
    const nowMs = performance.now();
    if (this.#waitsSinceMs !== undefined) {
      if (nowMs - this.#waitsSinceMs > CAPTURE_SILENCE_MS) this.#response.destroy();
      return;
    }
    const names = this.#names();
    if (names !== this.#told) {
      this.#told = names;
      this.#write(FRAME.names, Buffer.from(JSON.stringify(names)), nowMs);
    }
    for (let chunks = 0; chunks < CHUNKS_PER_TURN && this.#waitsSinceMs === undefined; chunks++) {
      const records = this.#recording.take(CAPTURE_CHUNK_BYTES);
      if (records.length === 0) break;
      this.#write(FRAME.records, records, nowMs);
    }
    const { lost } = this.#recording;
    if (lost === this.#lost && nowMs - this.#lostToldMs < FOLLOW_LINE_MS) return;
    this.#lost = lost;
    this.#lostToldMs = nowMs;
    this.#write(FRAME.lost, Buffer.from(JSON.stringify({ lost })), nowMs);
  }

  #write(kind: number, bytes: Uint8Array, nowMs: number): void {
    this.#response.write(frameHeader(kind, bytes.length));
    this.#response.write(bytes);
    if (this.#response.writableLength >= CAPTURE_UNREAD_BYTES_MAX) this.#waitsSinceMs ??= nowMs;
  }
}
