/**
 * What `anyhop capture` shows, whoever records it: an XDP program, the portable engine or a worker of af_xdp. One record a packet: the frame as
 * it came in, the frame as it left, and how it was decided in between.
 *
 *   CaptureFilter --arm--> CaptureSource --records--> match.ts (exactly the expression) --> pcapng, or a line a packet
 *
 * A source keeps what the filter cannot say: it may record too much, and never too little. It records for as long as somebody reads: one
 * whose reader is gone disarms itself within a second or so.
 */
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';

/** A number that the program did not get as far as to know. */
export const UNKNOWN = L.NONE;
/** The same for a slot. */
export const UNKNOWN_SLOT = L.CAPTURE_NO_SLOT;

export interface CaptureRecord {
  /** Differs from every other record's of one capture; need not rise. */
  readonly id: bigint;
  /** CLOCK_MONOTONIC when the packet was taken, in nanoseconds. */
  readonly timeNs: bigint;
  /** The CPU, or for the TypeScript engines the queue. */
  readonly cpu: number;
  /** Index into VERDICTS; of an agent's record into AGENT_VERDICTS. */
  readonly verdict: number;
  /** Counter number of the service; UNKNOWN when the packet got as far as none. */
  readonly service: number;
  /** Counter number of the backend; UNKNOWN without one, and always at an agent. */
  readonly backend: number;
  /** UNKNOWN_SLOT without one. */
  readonly slot: number;
  /** The keyed flow hash, unsigned; 0 without one. */
  readonly hash: number;
  /** The GRE key (packet/second-chance-key.ts), unsigned; 0: none. At an agent, the one that came in. */
  readonly key: number;
  /** Of the image that decided; 0 at an agent. */
  readonly generation: number;
  /** Frame as received: its length, and the first bytes of it. */
  readonly inLength: number;
  readonly inBytes: Uint8Array;
  /** Frame as sent or delivered; length 0 when nothing of it went on. */
  readonly outLength: number;
  readonly outBytes: Uint8Array;
}

/**
 * What a source records. Every field that is there must hold. Addresses, ports and the protocol are those of the packet as received from a client:
 * at an agent, of the packet inside of GRE. Ports are those of TCP and UDP packets that have them: a later fragment or an ICMP message has none.
 */
export interface CaptureFilter {
  /** Destination. */
  readonly vip?: IpAddress;
  /** Source, and how many of its bits must agree: 0 to 32 or 128. */
  readonly client?: { readonly address: IpAddress; readonly bits: number };
  readonly clientPort?: number;
  /** Destination port. */
  readonly servicePort?: number;
  /** IP protocol number, behind extension headers. */
  readonly protocol?: number;
  /** Counter number. */
  readonly backend?: number;
  /** Indexes of verdicts; absent for all. */
  readonly verdicts?: readonly number[];
  /** One packet of so many is looked at, before everything else: 1 or more. */
  readonly sample: number;
  /** First bytes of each frame to keep: SNAP_MIN to SNAP_MAX. */
  readonly snapLength: number;
}

/** Enough for the headers that a filter looks at, also within GRE. */
export const SNAP_MIN = L.CAPTURE_SNAP_MIN;
export const SNAP_MAX = L.CAPTURE_SNAP_MAX;

/** Who records: which list verdicts are of, and which packets filters look into. */
export type CapturePoint = 'forwarder' | 'agent';

/** What numbers in records mean, and what names in expressions do. */
export interface CaptureNames {
  /** Of the newest image that these are of: a record of a newer one may have numbers that are not here. */
  readonly generation: number;
  readonly services: readonly NamedService[];
  readonly backends: readonly NamedBackend[];
}

export interface NamedService {
  readonly name: string;
  /** Counter number; UNKNOWN at an agent. */
  readonly number: number;
  readonly vip: string;
  readonly protocol: 'tcp' | 'udp';
  readonly portFirst: number;
  readonly portLast: number;
  readonly pool: string;
}

export interface NamedBackend {
  readonly pool: string;
  readonly name: string;
  /** Counter number; UNKNOWN at an agent. */
  readonly number: number;
  /** In GRE keys; 0: none. */
  readonly id: number;
}

/** Something that records packets. One reader at a time. */
export interface CaptureSource {
  readonly point: CapturePoint;
  /** Of the frames as received; names the interfaces in a capture file. */
  readonly interface: string;
  /** What it is, for people: `engine xdp, pins of eth0`. */
  readonly description: string;
  names(): Promise<CaptureNames>;
  /** Begins to record. @throws AnyhopError when somebody else captures here */
  arm(filter: CaptureFilter): Promise<void>;
  /**
   * The next records, none when none came within `waitMs`; undefined when no more will come. It never blocks the event loop. The bytes of
   * records stay valid.
   */
  read(waitMs: number): Promise<readonly CaptureRecord[] | undefined>;
  /** Records that found no room since `arm`, as far as is known. */
  readonly lost: number;
  /**
   * For how long packets may have gone by without being recorded or counted as lost: the reader stood still for longer than a lease, or another
   * program took the place of the one that was captured. Absent where that cannot be.
   */
  readonly blindMs?: number;
  /** Ends recording, and waits until it has; also after a failure. */
  close(): Promise<void>;
}
