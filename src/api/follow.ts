/**
 * What a node tells those who announce it: `GET /follow` answers with a whole line of JSON at once and whenever something of it changes,
 * and with a short one every second in between. So a reader needs only the newest whole line, and hears that the node lives. A slow reader
 * gets fewer lines, and never an old one. The stream ends with the process.
 *
 *   starting  -->  serving  -->  stopping (node.stop_delay)  -->  left
 *       \-->  the end: a start that failed; what the process before left in the kernel may forward on
 */

/** A whole line; the first of every stream is one. */
export interface FollowLine {
  readonly node: string;
  readonly version: string;
  readonly pid: number;
  /** ISO 8601: when the process started. */
  readonly startedAt: string;
  /** Counts the lines of one stream from 1, short ones too. */
  readonly line: number;
  readonly phase: 'starting' | 'serving' | 'stopping' | 'left';
  /** Why no service is ready, whatever its pool; empty when that is for the pools to say. */
  readonly reasons: readonly string[];
  /** From `stopping` on. */
  readonly stop?: {
    /** `SIGTERM`, say. */
    readonly why: string;
    /** ISO 8601: until then it forwards on (node.stop_delay); the time of the stop itself when there is no delay. */
    readonly until: string;
    /**
     * Whether the kernel forwards on when the process has ended: a hand-over to the next process. Before `left` it is what will be tried,
     * then what has come of it.
     */
    readonly forwardsOn: boolean;
  };
  /** Absent until the engine has started. */
  readonly engine?: FollowedEngine;
  readonly vips: readonly FollowedVip[];
  /** Of the services' pools, by name. */
  readonly pools: Readonly<Record<string, FollowedPool>>;
}

/** A short line: nothing has changed since the last whole one of this stream. */
export interface FollowSame {
  readonly line: number;
  readonly same: true;
}

export interface FollowedEngine {
  readonly name: string;
  /** The interface that takes the packets; names may change, the index does not. */
  readonly interface: { readonly name: string; readonly index: number };
  /** The kernel's number of the XDP program that forwards on without the process, also a killed one; absent when none would. */
  readonly program?: number;
}

export interface FollowedVip {
  readonly vip: string;
  /** In the order of the file. */
  readonly services: readonly {
    readonly name: string;
    readonly pool: string;
    readonly ready: boolean;
    /** Why not; absent when it is. */
    readonly reason?: string;
  }[];
}

export interface FollowedPool {
  /** Backends by the checks, health alone. */
  readonly up: number;
  readonly total: number;
  /** Where the image in force sends what backends own: those with slots and a next hop. */
  readonly hops: readonly FollowedHop[];
}

export interface FollowedHop {
  /** Of the backend. */
  readonly address: string;
  /** What frames leave by; of a VLAN device its parent. */
  readonly interface: { readonly name: string; readonly index: number };
  /** Of the next hop. */
  readonly mac: string;
  /** Identifier of the tag that frames carry; absent when they carry none. */
  readonly vlan?: number;
}
