/**
 * A simulated forwarder: a real node's pool (pool/membership.ts) and the states for its tables, with health marks from a script and
 * agents that say at any time who has connections. A restart goes through the state file and the present config file.
 */
import type { PoolConfig } from '../config/types.js';
import { readMemory, writeMemory } from '../pool/change-file.js';

import {
  drainsSinceMs,
  type Membership,
  NO_POOLS,
  type PoolMembership,
  passTime,
  type StandingOf,
  type TakeOptions,
  take,
  takeHolds,
  takeMarks,
} from '../pool/membership.js';
import type { Hold } from '../pool/open-changes.js';
import { isSameMoment, momentOf, type PoolMoment } from '../pool/remembered.js';
import { type NamedStates, NO_FACTS, statesOf } from '../pool/states.js';

/** The inputs of tables and digests; addresses follow from names here. */
const TEXT_FIELDS = ['state', 'remembered', 'name', 'weight', 'health', 'drained', 'unreachable'];

/** What agents say of a backend. */
export type HasConnections = (backend: string) => boolean;

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
    this.#states = this.#statesIn(this.#pools);
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
    const passed = takeMarks(passTime(this.#pools, nowMs), givenUp(nowMs), nowMs);
    const pools = this.#askAgents(passed, nowMs);
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
    const marked = takeMarks(
      passTime(this.#pools, nowMs),
      (_, { name }, mark) => {
        if (!down.has(name)) return { health: 'up' };
        return mark?.health === 'up' ? { health: 'down' } : undefined; // one may be dead by now
      },
      nowMs,
    );
    return this.#enter(marked, nowMs);
  }

  /** Its process restarts; its memory goes through the file. */
  restart(file: PoolConfig, nowMs: number): boolean {
    const clocks = { nowMs, wallMs: nowMs };
    const memory = readMemory(writeMemory(this.#pools, clocks), clocks);
    return this.#enter(take(NO_POOLS, [file], { force: false, nowMs, memory }), nowMs);
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
    this.#pools = this.#askAgents(pools, nowMs);
    this.#states = this.#statesIn(this.#pools);
    this.#text = textOf(this.#states);
    const isOther = !isSameMoment(before, momentIn(this.#pools));
    if (isOther) this.#changedAtMs = nowMs;
    return isOther;
  }

  #askAgents(pools: Membership, nowMs: number): Membership {
    const [pool] = pools.values();
    return takeHolds(pools, () => this.#holds(pool), nowMs);
  }

  #holds(pool: PoolMembership): Hold[] {
    return pool.changes.members.flatMap(({ name }) => {
      const sinceMs = drainsSinceMs(pool, name);
      const isHeld = sinceMs !== undefined && this.#hasConnections(name);
      return isHeld ? [{ name, untilMs: sinceMs + pool.file.drainDeadlineMs }] : [];
    });
  }

  #statesIn(pools: Membership): NamedStates {
    const [{ file, changes }] = pools.values();
    const isDrained = (backend: string): boolean => !this.#hasConnections(backend);
    return statesOf(file, changes, { ...NO_FACTS, isDrained });
  }
}

function momentIn(pools: Membership): PoolMoment {
  const [{ changes }] = pools.values();
  return momentOf(changes);
}

/** Who has been down for so long that it has no connections. */
function givenUp(nowMs: number): StandingOf {
  return ({ deadAfterMs }, _, mark) =>
    mark?.health === 'down' && nowMs >= mark.sinceMs + deadAfterMs ? { health: 'dead' } : undefined;
}

function textOf(states: NamedStates): string {
  return JSON.stringify(states, TEXT_FIELDS);
}
