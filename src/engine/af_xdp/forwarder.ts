/** The main thread's side of one forwarding worker: its socket, its counters, and the messages to and fro. */

import { Worker } from 'node:worker_threads';
import { AnyhopError, EXIT } from '../../core/errors.js';
import { VERDICTS } from '../../core/layout.gen.js';
import type { SocketLosses, XdpSocket } from '../../ffi/xsk.js';
import { COUNTED, COUNTED_KINDS, type Counted, Counters } from '../../forward/counters.js';
import type { Image } from '../../image/read.js';
import type { CounterMoves } from '../counter-moves.js';
import { TALLIES, TALLY } from './loop.js';
import type { RecordSetup, SharedImage, WorkerMail, WorkerReport, WorkerSetup } from './mail.js';

export interface ForwarderOptions {
  /** Bound, and fed by the steering program or about to be. It is closed by `close`. */
  readonly socket: XdpSocket;
  readonly core: number;
  readonly busyPollUs: number;
  /** The live image in shared memory: all workers read the same. */
  readonly image: SharedArrayBuffer;
  readonly parsed: Image;
  /** See WorkerSetup. */
  readonly guardState: Int32Array;
}

/** What became of frames, beside the pipeline's verdicts. */
export interface ForwarderTally {
  readonly queued: number;
  readonly unqueued: number;
  readonly stray: number;
}

export class Forwarder {
  /** The core that it runs on. */
  readonly core: number;
  /** Rejects with the reason when the worker ends of its own accord. */
  readonly failed: Promise<never>;
  readonly #socket: XdpSocket;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #mailbox: Int32Array;
  readonly #tally: Float64Array;
  readonly #counters: Counters;
  #losses: SocketLosses | undefined;

  /** Starts a worker and resolves when it forwards. @throws AnyhopError ERR_ENGINE with the worker's own words */
  static async start(options: ForwarderOptions): Promise<Forwarder> {
    const setup: WorkerSetup = {
      ...memoryFor(options.parsed, undefined, options.image),
      place: options.socket.place,
      core: options.core,
      busyPollUs: options.busyPollUs,
      mailbox: new Int32Array(new SharedArrayBuffer(4)),
      verdicts: shared(VERDICTS.length),
      tally: shared(TALLIES),
      guardState: options.guardState,
    };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const failed = failure(worker, options.socket.queue);
    const ready = new Promise<WorkerReport>((resolve) => worker.once('message', resolve));
    const { core } = (await Promise.race([ready, failed])) as { core: number };
    return new Forwarder(options.socket, worker, setup, core, ended, failed);
  }

  private constructor(
    socket: XdpSocket,
    worker: Worker,
    setup: WorkerSetup,
    core: number,
    ended: Promise<void>,
    failed: Promise<never>,
  ) {
    this.core = core;
    this.failed = failed;
    this.#socket = socket;
    this.#worker = worker;
    this.#ended = ended;
    this.#mailbox = setup.mailbox;
    this.#tally = setup.tally;
    this.#counters = new Counters(setup.verdicts);
    this.#counters.moveTo(setup);
  }

  /** Resolves once the worker forwards by this image. */
  async publish(parsed: Image, image: SharedArrayBuffer, moves?: CounterMoves): Promise<void> {
    const memory: SharedImage =
      moves === undefined
        ? memoryFor(parsed, this.#counters, image)
        : { ...memoryFor(parsed, undefined, image), moves };
    const live = this.#answer((report) => 'generation' in report && report.generation === parsed.generation);
    this.#send(memory);
    await Promise.race([live, this.failed]);
    // The worker has taken its counts along: only now is there something to read.
    for (const kind of COUNTED_KINDS) this.#counters[kind] = memory[kind];
  }

  /** Resolves once the worker reads these lists, null for none; also when it has ended. One at a time. */
  async publishLists(lists: SharedArrayBuffer | null): Promise<void> {
    const isSo = this.#answer((report) => 'lists' in report);
    this.#send({ lists });
    await Promise.race([isSo, this.#ended]);
  }

  /** See Engine.tryFrame. One at a time. */
  async tryFrame(frame: Uint8Array): Promise<Uint8Array | undefined> {
    const tried = this.#answer((report) => 'tried' in report);
    this.#send({ frame });
    const { tried: sent } = (await Promise.race([tried, this.failed])) as { tried: Uint8Array | null };
    return sent ?? undefined;
  }

  /** Resolves once the worker records, or does no more. Also when it has ended. */
  async record(setup: RecordSetup | null): Promise<void> {
    if (this.#losses !== undefined) return;
    const isSo = this.#answer((report) => 'records' in report && report.records === (setup !== null));
    this.#send({ record: setup });
    await Promise.race([isSo, this.#ended]);
  }

  counters(): Counters {
    return this.#counters;
  }

  tally(): ForwarderTally {
    const [queued, unqueued, stray] = [TALLY.queued, TALLY.unqueued, TALLY.stray].map((i) => this.#tally[i]);
    return { queued, unqueued, stray };
  }

  losses(): SocketLosses {
    return this.#losses ?? this.#socket.losses();
  }

  /** Lets it forward what it has, ends it, and gives the socket back. Also when it has died. */
  async close(): Promise<void> {
    if (this.#losses !== undefined) return;
    this.#send('stop');
    await this.#ended;
    this.#losses = this.#socket.losses();
    this.#socket.close();
  }

  /** The first of the worker's reports from now on that is the one. */
  #answer(isIt: (report: WorkerReport) => boolean): Promise<WorkerReport> {
    return new Promise((resolve) => {
      const listen = (report: WorkerReport): void => {
        if (!isIt(report)) return;
        this.#worker.off('message', listen);
        resolve(report);
      };
      this.#worker.on('message', listen);
    });
  }

  #send(mail: WorkerMail): void {
    this.#worker.postMessage(mail);
    Atomics.add(this.#mailbox, 0, 1);
    this.#socket.wake();
  }
}

/** An image in memory that workers share. */
export function sharedImage(image: Image): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(image.bytes.length);
  new Uint8Array(buffer).set(image.bytes);
  return buffer;
}

/** New memory to count in where the former has no room for this image. */
function memoryFor(parsed: Image, former: Counters | undefined, image: SharedArrayBuffer): SharedImage {
  const entries = { services: parsed.serviceCounters, backends: parsed.backendCounters };
  const room = (kind: Counted): Float64Array => {
    const array = former?.[kind];
    const length = entries[COUNTED[kind].of] * COUNTED[kind].each;
    return array !== undefined && array.length >= length ? array : shared(length);
  };
  return { image, services: room('services'), backends: room('backends'), guarded: room('guarded') };
}

function shared(length: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT));
}

function failure(worker: Worker, queue: number): Promise<never> {
  const failed = new Promise<never>((_, reject) => {
    const fail = (reason: string, cause?: unknown): void =>
      reject(
        new AnyhopError('ERR_ENGINE', `the worker of queue ${queue} ended: ${reason}`, {
          exitCode: EXIT.failure,
          cause,
        }),
      );
    worker.once('error', (error) => fail(error.message, error));
    worker.once('exit', (code) => fail(`exit code ${code}`));
  });
  failed.catch(() => undefined); // who waits for something of the worker races it; nobody has to
  return failed;
}
