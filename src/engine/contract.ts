/**
 * The contract of an engine: what moves packets, given an image. An engine is a thin shell around one pipeline; the
 * tests of the contract (test/engine) run over each of them. Nothing outside of this folder asks an engine for its name
 * to find out what it does: the contract says it.
 *
 *   prepare -> predecessor -> start -> (publish)* -> stop | leave
 *
 * An engine promises: every packet that it receives ends in one counted verdict; what is not for a VIP reaches
 * the host untouched; a packet that could not be received or sent is counted, never lost in silence; `publish` takes
 * effect between two packets; `stop` takes back everything that `start` changed on the host, also after a failed one.
 */
import type { CaptureFilter } from '../capture/record.js';
import type { NodeConfig } from '../config/types.js';
import type { NodeEngine } from '../core/engines.js';
import type { Logger } from '../core/log.js';
import type { Counters } from '../forward/counters.js';
import type { Image } from '../image/read.js';
import type { Place } from '../pins/directory.js';
import type { Link } from '../underlay/link.js';
import type { NextHop } from '../underlay/next-hop.js';
import type { Recording } from './capture/recording.js';
import type { Defence } from './defence.js';

export type EngineName = NodeEngine | 'replay';

/**
 * How packets leave: `packet`, at layer 3, by the host's routes; `frame`, with the image's Ethernet header, out of a
 * socket; `xdp`, the same out of an XDP program.
 */
export type Sends = 'packet' | 'frame' | 'xdp';

/** What an engine counts beside the pipeline's verdicts, in packets. NaN is an unknown count. */
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
  readonly sends: Sends;
  /** Whether it logs what it could not send itself, with the reason. */
  readonly logsLosses: boolean;
  /** How it runs here, in a few words for the log and for `anyhop status`: the XDP mode, say. Known once it has started. */
  readonly mode: string;
  /** Why no packet reaches the engine at present: somebody took its program off the interface, say. */
  readonly detached: string | undefined;
  /**
   * The kernel's number of the XDP program that forwards on when this process ends, also when it is killed; after `leave`, of the one
   * that does. Undefined when none would.
   */
  readonly program: number | undefined;
  /** Settles when the engine has ended: at the end of its input, after `stop` or `leave`, or with what broke it. */
  readonly finished: Promise<void>;
  /** Why it cannot send to a next hop when packets come in on the interface `on`; undefined when it can. */
  unreachable(hop: NextHop, on: Link): string | undefined;
  /**
   * The image that a former process left in force. `start` takes over from it without losing a packet: the first image
   * must have a higher generation and keep its counter numbers.
   */
  predecessor(): Promise<Image | undefined>;
  /**
   * Resolves once packets are taken.
   * @param lists compiled, that sources are looked up in from the first packet on; when left out, those of a predecessor stay
   * @throws AnyhopError when the host lacks something; nothing is left behind
   */
  start(image: Image, lists?: Uint8Array): Promise<void>;
  /** Makes a newer image the live one; resolves when it is. One at a time. */
  publish(image: Image): Promise<void>;
  /**
   * One frame through what decides here, by the image in force. It is sent nowhere, and does not stay in the counters.
   * @returns the frame that it would send; undefined when it would send none
   */
  tryFrame(frame: Uint8Array): Promise<Uint8Array | undefined>;
  /**
   * Begins to record packets, for one reader at a time. Absent where readers find the records without this process, in pins.
   * @throws Error when somebody records already
   */
  record?(filter: CaptureFilter): Promise<Recording>;
  /** The rules of defence: what they did, and what they are told. From `start` on. */
  readonly defence: Defence;
  /** A snapshot: the sum over what counts, since the first of the processes that took over from one another. */
  counters(): Counters;
  engineCounters(): Promise<EngineCounters>;
  stop(): Promise<void>;
  /** Ends this process's part. An engine that outlives its process forwards on by the last image until a successor or
   * `anyhop stop` ends that; the others stop. @returns whether forwarding goes on */
  leave(): Promise<boolean>;
}

export type EngineSettings = Place &
  Pick<NodeConfig, 'busyPollUs' | 'localVips'> & {
    /** Replaces what a former process left even if flows get other backends. */
    readonly force: boolean;
    readonly log: Logger;
    /** Called whenever `detached` or `program` has changed. */
    readonly changed?: () => void;
  };

/** An engine that a node can run: one entry in candidates.ts. */
export interface EngineKind {
  /**
   * Makes one, if the machine has what it needs; `start` may fail all the same.
   * @throws AnyhopError that says what is missing and what to do
   */
  prepare(settings: EngineSettings): Promise<Engine>;
  /** Only of an engine that outlives its process. */
  readonly left?: LeftBehind;
}

/** What an engine leaves in force on an interface when its process ends. */
export interface LeftBehind {
  /** @throws AnyhopError when it is there: no other engine would see a packet */
  requireNone(place: Place): Promise<void>;
  /**
   * @returns undefined when there was nothing
   * @throws AnyhopError ERR_INTERFACE when a process is in charge of the interface, or somebody else's program is on it;
   *   ERR_BPF when this user may not have what is there
   */
  remove(place: Place, log: Logger): Promise<Removed | undefined>;
}

export interface Removed {
  /** What forwarded until now; undefined when only pins were left. */
  readonly attached:
    | {
        /** Its present name. */
        readonly interface: string;
        readonly mode: string;
        readonly programId: number;
        readonly generation: number | undefined;
      }
    | undefined;
}
