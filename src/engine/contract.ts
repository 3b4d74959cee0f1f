/**
 * The contract of an engine: what moves packets, given an image. Engines are thin shells around one pipeline; the
 * tests of the contract (test/engine) run over each of them.
 *
 *   predecessor -> start -> (publish)* -> stop | leave
 *
 * What an engine promises: every packet that it receives ends in one counted verdict; what is not for a VIP reaches
 * the host untouched; a packet that could not be received or sent is counted, never lost in silence; `publish` takes
 * effect between two packets; `stop` takes back everything that `start` changed on the host, also after a failed one.
 */
import type { Counters } from '../forward/counters.js';
import type { Image } from '../image/read.js';

export type EngineName = 'portable' | 'replay' | 'af_xdp' | 'xdp';

/** What an engine counts beside the pipeline's verdicts; packets. NaN when it cannot be told. */
export interface EngineCounters {
  /** Frames handed to the pipeline. */
  readonly received: number;
  readonly sent: number;
  /** Forwarded or answered by the pipeline, and refused by the kernel or the driver. */
  readonly sendFailed: number;
  /** Packets for a VIP that came in and that the engine never got to see (a full ring). */
  readonly missed: number;
}

export interface Engine {
  readonly name: EngineName;
  /** How it runs here, in a few words for the log and for `anyhop status`: the XDP mode, say. There once started. */
  readonly mode: string;
  /** Why no packet gets to the engine at present: its program was taken off the interface, say. Undefined when they do. */
  readonly detached: string | undefined;
  /** Settles when the engine has ended: at the end of its input, after `stop` or `leave`, or with what broke it. */
  readonly finished: Promise<void>;
  /**
   * The image that a process before this one left in force and that `start` will take over from, without losing a packet:
   * the first image must have a higher generation, and keep its counter numbers. Undefined when there is none.
   */
  predecessor(): Promise<Image | undefined>;
  /** Resolves once packets are taken. @throws AnyhopError when the host lacks something; nothing is left behind. */
  start(image: Image): Promise<void>;
  /** Makes a newer image the live one; resolves when it is. One at a time. */
  publish(image: Image): Promise<void>;
  /**
   * One frame through what decides here, by the image in force. It is sent nowhere, and does not stay in the counters.
   * @returns the frame that it would send; undefined when it would send none
   */
  tryFrame(frame: Uint8Array): Promise<Uint8Array | undefined>;
  /** A snapshot: the sum over what counts, since the first of the processes that took over from one another. */
  counters(): Counters;
  engineCounters(): Promise<EngineCounters>;
  stop(): Promise<void>;
  /** Ends this process's part. An engine that can forwards on, by the last image, until a successor takes over or `anyhop
   * stop`; for the others it is `stop`. @returns whether forwarding goes on */
  leave(): Promise<boolean>;
}
