/**
 * A simulated forwarder: a real node's pool (pool/membership.ts) and the states for its tables, with health marks from a script.
 * A restart goes through the state file and the present config file.
 */
import type { PoolConfig } from '../config/types.js';
import { readMemory, writeMemory } from '../pool/change-file.js';
import {
  type Membership,
  NO_POOLS,
  nextChangeAtMs,
  passTime,
  type StandingOf,
  type TakeOptions,
  take,
  takeMarks,
} from '../pool/membership.js';
import { type NamedStates, statesOf } from '../pool/states.js';

/** The inputs of tables and digests; addresses follow from names here. */
const TEXT_FIELDS = ['state', 'remembered', 'name', 'weight', 'health', 'drained', 'unreachable'];

export class SimNode {
  readonly #settleMs: number;
  #pools: Membership;
  #states: NamedStates;
  #text: string;
  #nextAtMs = 0;
  /** Whether it is one of the router's next hops. */
  isUp = true;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #leftAtMs = 0;

  constructor(file: PoolConfig, nowMs: number) {
    this.#settleMs = file.settleMs;
    this.#pools = take(NO_POOLS, [file], { force: false, nowMs });
    this.#states = statesIn(this.#pools);
    this.#text = textOf(this.#states);
  }

  get states(): NamedStates {
    return this.#states;
  }

  get text(): string {
    return this.#text;
  }

  /** Nothing is queued or settling, and nothing has changed for a settle time, flaps included. */
  isSettled(nowMs: number): boolean {
    return nextChangeAtMs(this.#pools) === undefined && nowMs >= this.#changedAtMs + this.#settleMs;
  }

  /** Returns true when the state in force has changed. */
  advance(nowMs: number): boolean {
    return nowMs >= this.#nextAtMs && this.#enter(passTime(this.#pools, nowMs), nowMs);
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
    this.#pools = pools;
    this.#nextAtMs = nextChangeAtMs(pools) ?? Number.POSITIVE_INFINITY;
    const before = this.#states;
    this.#states = statesIn(pools);
    this.#text = textOf(this.#states);
    const isOther = textOf({ state: this.#states.state }) !== textOf({ state: before.state });
    if (isOther) this.#changedAtMs = nowMs;
    return isOther;
  }
}

function statesIn(pools: Membership): NamedStates {
  const [{ file, changes }] = pools.values();
  return statesOf(file, changes);
}

function textOf(states: Partial<NamedStates>): string {
  return JSON.stringify(states, TEXT_FIELDS);
}
