/**
 * TCP connections of one scheme: where each one's socket is, and what becomes of its packets. Every flow sends a
 * packet at every tick:
 *
 *   the owner has the socket                      -> ok
 *   else a SYN                                    -> the owner opens the connection
 *   else the alternate has it, with second chance -> ok, by a second hop
 *   else                                          -> a live host answers with RST: broken; the client connects anew
 *
 * What reaches a dead machine, or no forwarder, is lost, and the client sends again. A connection whose own machine
 * lives and that gets no answer for more than SILENCE_MS is silent: it is not reset, but its user has gone.
 */
import { NONE } from '../table/layers.js';
import type { Lookup, Scheme } from './scheme.js';

/** In the place of a backend: the next packet is a SYN. */
const NO_SOCKET = -1;

/** Without an answer for longer than this a connection is silent: what `make survive` calls broken, for real ones. */
export const SILENCE_MS = 10_000;

/** In the place of a time: the connection has been counted as silent. */
const COUNTED = Number.POSITIVE_INFINITY;

export interface Break {
  readonly flow: number;
  /** How many changes there had been when it was opened. Not a time: several events may share one. */
  readonly changesBefore: number;
}

/** When packets are sent. */
export interface Moment {
  readonly nowMs: number;
  /** How many times a state in force has changed by now. */
  readonly changes: number;
}

export interface FlowCounts {
  /** Reset by a backend that has no socket for them. */
  broken: number;
  /** Without an answer for more than SILENCE_MS, each connection once, whatever becomes of it. */
  silent: number;
  /** Lost with the machine that they were on. */
  died: number;
  /** Packets that took the second hop. */
  secondHops: number;
}

export class Flows {
  readonly scheme: Scheme;
  /** By flow: id of the backend that has the socket, or NO_SOCKET. */
  readonly #backend: Int32Array;
  /** By flow: how many changes there had been when it was opened. */
  readonly #changesBefore: Uint32Array;
  /** By flow: since when it gets no answer; NaN while it does, or COUNTED. */
  readonly #unansweredSinceMs: Float64Array;

  constructor(scheme: Scheme, count: number) {
    this.scheme = scheme;
    this.#backend = new Int32Array(count).fill(NO_SOCKET);
    this.#changesBefore = new Uint32Array(count);
    this.#unansweredSinceMs = new Float64Array(count).fill(Number.NaN);
  }

  /** The flow has come to its end; another takes its place. */
  end(flow: number): void {
    this.#backend[flow] = NO_SOCKET;
    this.#unansweredSinceMs[flow] = Number.NaN;
  }

  /** A machine dies, and its connections with it. */
  die(backend: number, counts: FlowCounts): void {
    for (let flow = 0; flow < this.#backend.length; flow++) {
      if (this.#backend[flow] !== backend) continue;
      counts.died++;
      this.end(flow);
    }
  }

  /**
   * A packet of each flow.
   * @param hash by flow
   * @param through by flow, index into `lookups`; NONE when no node is left
   * @param isCrashed whether the backend with this id is a dead machine
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
    const { secondChance } = this.scheme;
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
      // Nobody owns the slot, or a dead machine does: the packet is lost.
      if (owner === NONE || isCrashed(owner)) {
        this.#unanswered(flow, nowMs, counts);
        continue;
      }
      if (backend === NO_SOCKET) {
        backends[flow] = owner;
        this.#changesBefore[flow] = changes;
        continue;
      }
      if (secondChance) {
        const alternate = lookup.alternate(hash[flow]);
        if (alternate === backend) {
          counts.secondHops++;
          this.#answered(flow);
          continue;
        }
        if (alternate !== NONE && isCrashed(alternate)) {
          this.#unanswered(flow, nowMs, counts);
          continue;
        }
      }
      counts.broken++;
      onBreak?.({ flow, changesBefore: this.#changesBefore[flow] });
      this.end(flow);
    }
  }

  #answered(flow: number): void {
    if (this.#unansweredSinceMs[flow] < COUNTED) this.#unansweredSinceMs[flow] = Number.NaN;
  }

  /** A client that has no connection yet loses none. */
  #unanswered(flow: number, nowMs: number, counts: FlowCounts): void {
    if (this.#backend[flow] === NO_SOCKET) return;
    const since = this.#unansweredSinceMs;
    if (Number.isNaN(since[flow])) since[flow] = nowMs;
    if (nowMs - since[flow] <= SILENCE_MS || since[flow] === COUNTED) return;
    counts.silent++;
    since[flow] = COUNTED;
  }
}
