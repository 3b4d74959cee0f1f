/**
 * A forwarder in a simulation: its memory of the pool (the real one, pool/change.ts) and its tables. It reads the
 * config file and is told health marks; restarted, it has what it wrote down and the file as it is then.
 */
import type { BackendConfig } from '../config/types.js';
import { advance, force, mark, nextAtMs, type PoolChanges, plan, startChanges } from '../pool/change.js';
import { readMemory, writeMemory } from '../pool/change-file.js';
import { memoryOf } from '../pool/membership.js';
import { priorState, stateInForce } from '../pool/remembered.js';
import type { View } from './scheme.js';

const POOL = 'web';

export class SimNode {
  #changes: PoolChanges;
  #view: View;
  /** The view as text, to compare. */
  #viewText: string;
  #nextAtMs = 0;
  /** Known by the router as a next hop. */
  isUp = true;
  /** When the state in force last changed. */
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #leftAtMs = 0;

  constructor(members: readonly BackendConfig[], settleMs: number, nowMs: number) {
    this.#changes = startChanges({ members }, settleMs, nowMs);
    this.#view = viewOf(this.#changes);
    this.#viewText = JSON.stringify(this.#view);
  }

  get view(): View {
    return this.#view;
  }

  get viewText(): string {
    return this.#viewText;
  }

  /** Nothing is queued or settling, and nothing has changed for a settle time, flaps included. */
  isSettled(nowMs: number): boolean {
    return nextAtMs(this.#changes) === undefined && nowMs >= this.#changedAtMs + this.#changes.settleMs;
  }

  /** True when the state in force has become another. */
  advance(nowMs: number): boolean {
    return nowMs >= this.#nextAtMs && this.#take(advance(this.#changes, nowMs), nowMs);
  }

  edit(members: readonly BackendConfig[], forced: boolean, nowMs: number): boolean {
    return this.#take((forced ? force : plan)(this.#changes, { members }, nowMs), nowMs);
  }

  mark(backend: string, health: 'up' | 'down', nowMs: number): boolean {
    return this.#take(mark(this.#changes, backend, health, nowMs), nowMs);
  }

  /** Its process ends and starts again: what it remembers goes through the file. */
  restart(members: readonly BackendConfig[], nowMs: number): boolean {
    const clocks = { nowMs, wallMs: nowMs };
    const written = writeMemory(new Map([[POOL, memoryOf(this.#changes)]]), clocks);
    const read = readMemory(written, clocks).get(POOL)!.changes;
    return this.#take(plan(read, { members }, nowMs), nowMs);
  }

  leave(nowMs: number): void {
    this.isUp = false;
    this.#leftAtMs = nowMs;
  }

  /**
   * Comes back as a next hop, with the health marks of the others. Memories older than a settle time are of no use:
   * the flows of that time went through other nodes.
   */
  comeBack(members: readonly BackendConfig[], down: ReadonlySet<string>, nowMs: number): boolean {
    this.isUp = true;
    const { settleMs } = this.#changes;
    const health = Object.fromEntries([...down].map((name) => [name, 'down' as const]));
    if (nowMs - this.#leftAtMs >= settleMs) {
      return this.#take(startChanges({ members, health }, settleMs, nowMs), nowMs);
    }
    let changes = plan(this.#changes, { members, health }, nowMs);
    for (const { name } of changes.marks) {
      changes = mark(changes, name, down.has(name) ? 'down' : 'up', nowMs);
    }
    return this.#take(changes, nowMs);
  }

  #take(changes: PoolChanges, nowMs: number): boolean {
    this.#changes = changes;
    this.#nextAtMs = nextAtMs(changes) ?? Number.POSITIVE_INFINITY;
    const before = this.#view;
    this.#view = viewOf(changes);
    this.#viewText = JSON.stringify(this.#view);
    const isOther = JSON.stringify(this.#view.state) !== JSON.stringify(before.state);
    if (isOther) this.#changedAtMs = nowMs;
    return isOther;
  }
}

function viewOf(changes: PoolChanges): View {
  return { state: stateInForce(changes), prior: priorState(changes) };
}
