/**
 * The contract of an engine: what moves packets, given an image. Engines are thin shells around one pipeline; the
 * tests of the contract (test/engine) run over each of them.
 *
 *   start -> (publish)* -> stop
 *
 * What an engine promises: every packet that it receives ends in one counted verdict; what is not for a VIP reaches
 * the host untouched; a packet that could not be received or sent is counted, never lost in silence; `publish` takes
 * effect between two packets; `stop` takes back everything that `start` changed on the host, also after a failed one.
 */
import type { Counters } from '../forward/counters.js';
import type { Image } from '../forward/image.js';

export type EngineName = 'portable' | 'replay';

/** What an engine counts beside the pipeline's verdicts; packets. */
export interface EngineCounters {
  /** Frames handed to the pipeline. */
  readonly received: number;
  readonly sent: number;
  /** Forwarded or answered by the pipeline, and refused by the kernel. */
  readonly sendFailed: number;
  /** Packets for a VIP that came in and that the engine never got to see (a full ring); NaN when it cannot be told. */
  readonly missed: number;
}

export interface Engine {
  readonly name: EngineName;
  /** Live; read it, do not keep copies. */
  readonly counters: Counters;
  /** Settles when the engine has ended: at the end of its input, after `stop`, or with what broke it. */
  readonly finished: Promise<void>;
  /** Resolves once packets are taken. @throws AnyhopError when the host lacks something; nothing is left behind. */
  start(image: Image): Promise<void>;
  /** Makes a newer image the live one. */
  publish(image: Image): void;
  engineCounters(): Promise<EngineCounters>;
  stop(): Promise<void>;
}
