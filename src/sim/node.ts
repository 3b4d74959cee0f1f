/**
 * A simulated forwarder: a real node's pool and the states for its tables (transitions.ts), with health marks from a script. A restart
 * goes through the state file and the present config file.
 */
import type { PoolConfig } from '../config/types.js';
import {
  type Membership,
  NO_POOLS,
  passTime,
  type StandingOf,
  type TakeOptions,
  take,
  takeMarks,
} from '../pool/membership.js';
import { isSameMoment, momentOf, type PoolMoment } from '../pool/remembered.js';
import type { NamedStates } from '../pool/states.js';
import {
  afterRestart,
  askAgents,
  type HasConnections,
  inTime,
  statesIn,
  textOf,
  withMarks,
} from './transitions.js';

export class SimNode {
  readonly #settleMs: number;
  readonly #hasConnections: HasConnections;
  #pools: Membership;
  #states: NamedStates;
  #text: string;
  /** Whether it is one of the router's next hops. */
  isUp = true;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #leftAtMs = 0;

  constructor(file: PoolConfig, hasConnections: HasConnections, nowMs: number) {
    this.#settleMs = file.settleMs;
    this.#hasConnections = hasConnections;
    this.#pools = take(NO_POOLS, [file], { force: false, nowMs });
    this.#states = statesIn(this.#pools, hasConnections);
    this.#text = textOf(this.#states);
  }

  get states(): NamedStates {
    return this.#states;
  }

  get text(): string {
    return this.#text;
  }

  /** Nothing is queued, and nothing has changed for a settle time. */
  isSettled(nowMs: number): boolean {
    const [{ changes }] = this.#pools.values();
    return changes.queue.length === 0 && nowMs >= this.#changedAtMs + this.#settleMs;
  }

  /** Time passes, and agents are asked. Returns true when the state in force has changed. */
  advance(nowMs: number): boolean {
    const pools = askAgents(inTime(this.#pools, nowMs), this.#hasConnections, nowMs);
    return pools !== this.#pools && this.#enter(pools, nowMs);
  }

  edit(file: PoolConfig, force: boolean, nowMs: number): boolean {
    return this.#enter(take(this.#pools, [file], { force, nowMs }), nowMs);
  }

  mark(backend: string, health: 'up' | 'down', nowMs: number): boolean {
    const marked = takeMarks(
      passTime(this.#pools, nowMs),
      (_, { name }) => (name === backend ? { health } : undefined),
      nowMs,
    );
    return this.#enter(marked, nowMs);
  }

  /** The marks of all backends at once. */
  markAll(down: ReadonlySet<string>, nowMs: number): boolean {
    return this.#enter(withMarks(this.#pools, down, nowMs), nowMs);
  }

  restart(file: PoolConfig, nowMs: number): boolean {
    return this.#enter(afterRestart(this.#pools, file, nowMs), nowMs);
  }

  leave(nowMs: number): void {
    this.isUp = false;
    this.#leftAtMs = nowMs;
  }

  /**
   * Becomes a next hop again, with the others' health marks. It forgets what is older than a settle time: the flows of that time
   * used other nodes.
   */
  comeBack(file: PoolConfig, down: ReadonlySet<string>, nowMs: number): boolean {
    this.isUp = true;
    const standing: StandingOf = (_, { name }) => ({ health: down.has(name) ? 'down' : 'up' });
    const options: TakeOptions = { force: false, nowMs, standing };
    const isForgotten = nowMs - this.#leftAtMs >= this.#settleMs;
    const pools = take(isForgotten ? NO_POOLS : this.#pools, [file], options);
    return this.#enter(takeMarks(pools, standing, nowMs), nowMs);
  }

  #enter(pools: Membership, nowMs: number): boolean {
    const before = momentIn(this.#pools);
    this.#pools = askAgents(pools, this.#hasConnections, nowMs);
    this.#states = statesIn(this.#pools, this.#hasConnections);
    this.#text = textOf(this.#states);
    const isOther = !isSameMoment(before, momentIn(this.#pools));
    if (isOther) this.#changedAtMs = nowMs;
    return isOther;
  }
}

function momentIn(pools: Membership): PoolMoment {
  const [{ changes }] = pools.values();
  return momentOf(changes);
}
