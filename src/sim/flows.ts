/**
 * TCP connections of one scheme: where each socket is, and the fate of each packet. Every flow sends a packet at every tick:
 *
 *     the owner has the socket                      -> ok
 *     else a SYN                                    -> the owner opens the connection
 *     else a backend in the key has it              -> ok, by a second hop, or a third
 *     else                                          -> a live host answers with RST: broken; the client connects again
 *
 * A packet to a dead machine, or without a forwarder, is lost, and the client retransmits. A connection whose machine lives is
 * silent when it gets no answer for more than SILENCE_MS: it is not reset, but its user has given up.
 */
import { NONE } from '../table/layers.js';
import type { Lookup, Scheme } from './scheme.js';

/** Stands for a backend: the next packet is a SYN. */
const NO_SOCKET = -1;

/** A connection without an answer for longer is silent; `make survive` calls a real one broken. */
export const SILENCE_MS = 10_000;

/** Stands for a time: the connection has been counted as silent. */
const COUNTED = Number.POSITIVE_INFINITY;

export interface Break {
  readonly flow: number;
  /** Number of changes before it was opened; not a time, since events may coincide. */
  readonly changesBefore: number;
}

export interface Moment {
  readonly nowMs: number;
  /** Number of changes of states in force so far. */
  readonly changes: number;
}

export interface FlowCounts {
  /** Reset by a backend without a socket for it. */
  broken: number;
  /** Without an answer for more than SILENCE_MS; each connection counts once, even if it is answered later. */
  silent: number;
  /** Lost with their machine. */
  died: number;
  secondHops: number;
}

export class Flows {
  readonly scheme: Scheme;
  /** By flow: the backend that has the socket, or NO_SOCKET. */
  readonly #backend: Int32Array;
  /** By backend. */
  readonly #sockets = new Map<number, number>();
  /** By flow: number of changes before it was opened. */
  readonly #changesBefore: Uint32Array;
  /** By flow: time since which it gets no answer; NaN while it does, or COUNTED. */
  readonly #unansweredSinceMs: Float64Array;

  constructor(scheme: Scheme, count: number) {
    this.scheme = scheme;
    this.#backend = new Int32Array(count).fill(NO_SOCKET);
    this.#changesBefore = new Uint32Array(count);
    this.#unansweredSinceMs = new Float64Array(count).fill(Number.NaN);
  }

  hasSocket(backend: number): boolean {
    return (this.#sockets.get(backend) ?? 0) > 0;
  }

  /** The flow ends, and another takes its place. */
  end(flow: number): void {
    this.#count(this.#backend[flow], -1);
    this.#backend[flow] = NO_SOCKET;
    this.#unansweredSinceMs[flow] = Number.NaN;
  }

  die(backend: number, counts: FlowCounts): void {
    for (let flow = 0; flow < this.#backend.length; flow++) {
      if (this.#backend[flow] !== backend) continue;
      counts.died++;
      this.end(flow);
    }
  }

  /**
   * Sends a packet of each flow.
   * @param hash by flow
   * @param through by flow, an index into `lookups`; NONE when no node is left
   * @param isCrashed by id of a backend
   */
  send(
    hash: Int32Array,
    through: Uint16Array,
    lookups: readonly Lookup[],
    isCrashed: (id: number) => boolean,
    { nowMs, changes }: Moment,
    counts: FlowCounts,
    onBreak: ((event: Break) => void) | undefined,
  ): void {
    const backends = this.#backend;
    for (let flow = 0; flow < backends.length; flow++) {
      if (through[flow] === NONE) {
        this.#unanswered(flow, nowMs, counts);
        continue;
      }
      const lookup = lookups[through[flow]];
      const owner = lookup.owner(hash[flow]);
      const backend = backends[flow];
      if (owner === backend) {
        this.#answered(flow);
        continue;
      }
      // The slot has no owner, or a dead one: the packet is lost.
      if (owner === NONE || isCrashed(owner)) {
        this.#unanswered(flow, nowMs, counts);
        continue;
      }
      if (backend === NO_SOCKET) {
        backends[flow] = owner;
        this.#count(owner, 1);
        this.#changesBefore[flow] = changes;
        continue;
      }
      const end = this.#follow(lookup, hash[flow], backend, isCrashed);
      if (end === 'answered') {
        counts.secondHops++;
        this.#answered(flow);
        continue;
      }
      if (end === 'lost') {
        this.#unanswered(flow, nowMs, counts);
        continue;
      }
      counts.broken++;
      onBreak?.({ flow, changesBefore: this.#changesBefore[flow] });
      this.end(flow);
    }
  }

  /** The way of a packet that its slot's owner has no socket for. */
  #follow(
    lookup: Lookup,
    hash: number,
    backend: number,
    isCrashed: (id: number) => boolean,
  ): 'answered' | 'lost' | 'reset' {
    for (let at = 0; at < this.scheme.alternates; at++) {
      const alternate = lookup.alternate(hash, at);
      if (alternate === backend) return 'answered';
      if (alternate === NONE) return 'reset';
      if (isCrashed(alternate)) return 'lost';
    }
    return 'reset';
  }

  #count(backend: number, change: 1 | -1): void {
    if (backend !== NO_SOCKET) this.#sockets.set(backend, (this.#sockets.get(backend) ?? 0) + change);
  }

  #answered(flow: number): void {
    if (this.#unansweredSinceMs[flow] < COUNTED) this.#unansweredSinceMs[flow] = Number.NaN;
  }

  /** A client without a connection has none to lose. */
  #unanswered(flow: number, nowMs: number, counts: FlowCounts): void {
    if (this.#backend[flow] === NO_SOCKET) return;
    const since = this.#unansweredSinceMs;
    if (Number.isNaN(since[flow])) since[flow] = nowMs;
    if (nowMs - since[flow] <= SILENCE_MS || since[flow] === COUNTED) return;
    counts.silent++;
    since[flow] = COUNTED;
  }
}
