/**
 * Messages between the main thread and a forwarding worker. Memory that both use is shared: images, which nobody
 * changes once they are sent, and counters, which only the worker writes.
 *
 * The worker never gets back to its event loop: it looks at `mailbox`, one number that rises with each message, once a
 * batch, and only then at its port.
 */

import type { CaptureFilter } from '../../capture/record.js';
import type { SocketPlace } from '../../ffi/xsk.js';
import type { CountedMemory } from '../../forward/counters.js';
import type { CounterMoves } from '../counter-moves.js';

/** An image, and memory for what is counted by it: at least as much as by the one before. */
export interface SharedImage extends CountedMemory {
  /** When names have new numbers: which counts go where. */
  readonly moves?: CounterMoves;
  readonly image: SharedArrayBuffer;
}

/** `workerData`. */
export interface WorkerSetup extends SharedImage {
  readonly place: SocketPlace;
  /** The core to run on: a number among those that the process may use, counted round. */
  readonly core: number;
  /** How long to look for packets before sleeping, in microseconds. */
  readonly busyPollUs: number;
  readonly mailbox: Int32Array;
  readonly verdicts: Float64Array;
  /** TALLIES counters of loop.ts. */
  readonly tally: Float64Array;
  /** The state of defence, one for all workers (forward/guard-state.ts). */
  readonly guardState: Int32Array;
}

/** What to record, where. */
export interface RecordSetup {
  /** Of a RecordRing. */
  readonly ring: SharedArrayBuffer;
  readonly filter: CaptureFilter;
  readonly queue: number;
}

/** To the worker: take this image or these compiled lists, try this frame, record packets or no more, or come to an end. */
export type WorkerMail =
  | SharedImage
  | { readonly frame: Uint8Array }
  | { readonly lists: SharedArrayBuffer | null }
  | { readonly record: RecordSetup | null }
  | 'stop';

/** From the worker: the core that it runs on once it is ready; the generation that is live from now on; what it would send;
 * that the lists are those that it was sent; whether it records. */
export type WorkerReport =
  | { readonly core: number }
  | { readonly generation: number }
  | { readonly tried: Uint8Array | null }
  | { readonly lists: true }
  | { readonly records: boolean };
