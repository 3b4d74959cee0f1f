/**
 * What nodes know of one pool, shared between all that know the same: a thousand nodes are in few states. Every transition of a real node
 * (sim/transitions.ts) is made once for all nodes that make it from the same state in the same second; tables are made once for each
 * state.
 *
 *   view --transition--> what is known --the same as known before?--> that view, or a new one --when asked--> tables, digest of owners
 *
 * Clocks count whole seconds here: nodes that switch at different moments of one second remember the same.
 */
import type { PoolConfig } from '../../config/types.js';
import type { PoolChanges } from '../../pool/change.js';
import { type Membership, NO_POOLS, type StandingOf, take } from '../../pool/membership.js';
import { recall } from '../../pool/missed.js';
import { ANYHOP, type BackendIds, type Lookup } from '../scheme.js';
import {
  afterRestart,
  askAgents,
  type HasConnections,
  inTime,
  statesIn,
  textOf,
  withMarks,
} from '../transitions.js';

export const CLOCK_MS = 1000;

/** What a node knows of a pool. Nodes that have the same object know the same. */
export class View {
  readonly id: number;
  readonly pools: Membership;
  /** Whether a change waits in the node's own queue. */
  readonly waits: boolean;
  /** Whether time or agents may bring something. */
  readonly isOpen: boolean;
  /** Whether it depends on what agents say. */
  readonly isDraining: boolean;
  readonly #make: (before: Lookup | undefined) => Lookup;
  #lookup: Lookup | undefined;
  #before: Lookup | undefined;

  constructor(
    id: number,
    pools: Membership,
    from: View | undefined,
    make: (before: Lookup | undefined) => Lookup,
  ) {
    this.id = id;
    this.pools = pools;
    const [{ changes }] = pools.values();
    this.waits = changes.queue.length > 0;
    this.isDraining = changes.members.some(({ state }) => state === 'draining');
    this.isOpen = this.isDraining || isOpen(changes);
    this.#make = make;
    this.#before = from === undefined ? undefined : (from.#lookup ?? from.#before);
  }

  lookup(): Lookup {
    this.#lookup ??= this.#make(this.#before);
    this.#before = undefined;
    return this.#lookup;
  }

  /** Digest of the owners. */
  owners(): string {
    return this.lookup().tables!.ownersDigest;
  }
}

export class SharedPool {
  readonly #hasConnections: HasConnections;
  readonly #ids: BackendIds;
  /** By all that is known. */
  readonly #views = new Map<string, View>();
  /** By the states that they are made of. */
  readonly #lookups = new Map<string, WeakRef<Lookup>>();
  /** Transitions of this second, by view and kind. */
  readonly #made = new Map<string, View>();
  readonly #files = new Map<PoolConfig, number>();
  #clockMs = 0;
  #lastId = 0;
  /** How many tables were made. */
  tables = 0;

  constructor(hasConnections: HasConnections, ids: BackendIds) {
    this.#hasConnections = hasConnections;
    this.#ids = ids;
  }

  /** How many different states nodes have been in. */
  get views(): number {
    return this.#lastId;
  }

  /** As a node begins that remembers nothing. */
  first(file: PoolConfig): View {
    return this.#intern(take(NO_POOLS, [file], { force: false, nowMs: 0 }), undefined);
  }

  pass(view: View, nowMs: number): View {
    if (!view.isOpen) return view;
    return this.#after(view, 'pass', nowMs, inTime);
  }

  /** @param down those of its backends that the node knows to be down */
  edit(view: View, file: PoolConfig, down: ReadonlySet<string>, force: boolean, nowMs: number): View {
    const standing: StandingOf = (_, { name }) => (down.has(name) ? { health: 'down' } : undefined);
    return this.#after(
      view,
      `${force ? 'force' : 'edit'} ${this.#numberOf(file)} ${keyOf(down)}`,
      nowMs,
      (pools, clockMs) => take(pools, [file], { force, nowMs: clockMs, standing }),
    );
  }

  mark(view: View, down: ReadonlySet<string>, nowMs: number): View {
    return this.#after(view, `mark ${keyOf(down)}`, nowMs, (pools, clockMs) =>
      withMarks(pools, down, clockMs),
    );
  }

  restart(view: View, file: PoolConfig, nowMs: number): View {
    return this.#after(view, `restart ${this.#numberOf(file)}`, nowMs, (pools, clockMs) =>
      afterRestart(pools, file, clockMs),
    );
  }

  /** @param missed what the pool was elsewhere, and until when */
  recall(
    view: View,
    missed: readonly { readonly file: PoolConfig; readonly untilMs: number }[],
    nowMs: number,
  ): View {
    const names = missed.map(({ file, untilMs }) => `${this.#numberOf(file)} ${untilMs}`);
    return this.#after(view, `recall ${names}`, nowMs, (pools, clockMs) => {
      const [{ changes }] = pools.values();
      const { keyId } = changes;
      const known = missed.map(({ file, untilMs }) => ({
        pools: [file],
        keyId,
        untilMs: Math.min(clockMs - 1, Math.ceil(untilMs / CLOCK_MS) * CLOCK_MS),
      }));
      return recall(pools, known, clockMs);
    });
  }

  /** Forgets what no node is in. */
  keep(used: ReadonlySet<View>): void {
    for (const [key, view] of this.#views) if (!used.has(view)) this.#views.delete(key);
    for (const [key, lookup] of this.#lookups) if (lookup.deref() === undefined) this.#lookups.delete(key);
  }

  #after(
    view: View,
    kind: string,
    nowMs: number,
    transition: (pools: Membership, clockMs: number) => Membership,
  ): View {
    const clockMs = Math.ceil(nowMs / CLOCK_MS) * CLOCK_MS;
    if (clockMs !== this.#clockMs) this.#made.clear();
    this.#clockMs = clockMs;
    const key = `${view.id} ${kind}`;
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const pools = askAgents(transition(view.pools, clockMs), this.#hasConnections, clockMs);
    const after = pools === view.pools && !view.isDraining ? view : this.#intern(pools, view);
    this.#made.set(key, after);
    return after;
  }

  #intern(pools: Membership, from: View | undefined): View {
    const states = statesIn(pools, this.#hasConnections);
    const text = textOf(states);
    const key = `${text} ${this.#rest(pools)}`;
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const view = new View(++this.#lastId, pools, from, (before) => {
      const same = this.#lookups.get(text)?.deref();
      if (same !== undefined) return same;
      const made = ANYHOP.build(states, this.#ids, before);
      this.#lookups.set(text, new WeakRef(made));
      this.tables++;
      return made;
    });
    this.#views.set(key, view);
    return view;
  }

  /** All that is known beside the states; since when a backend is up is nothing that anything follows from. */
  #rest(pools: Membership): string {
    const [{ file, changes, drainingSinceMs }] = pools.values();
    const { planned, remembered, droppedUntilMs, queue, holds, marks } = changes;
    return JSON.stringify([
      this.#numberOf(file),
      drainingSinceMs,
      planned,
      remembered.map(({ untilMs }) => untilMs),
      droppedUntilMs ?? 0,
      queue.map(({ plannedAtMs, members }) => [
        plannedAtMs,
        members.map(({ name, weight, state }) => [name, weight, state]),
      ]),
      holds,
      marks.filter(({ health }) => health !== 'up'),
    ]);
  }

  #numberOf(file: PoolConfig): number {
    const number = this.#files.get(file) ?? this.#files.size;
    this.#files.set(file, number);
    return number;
  }
}

function isOpen(changes: PoolChanges): boolean {
  const { queue, remembered, planned, droppedUntilMs, marks } = changes;
  return (
    queue.length + remembered.length + planned.length > 0 ||
    droppedUntilMs !== undefined ||
    marks.some(({ health }) => health === 'down')
  );
}

function keyOf(names: ReadonlySet<string>): string {
  return [...names].sort().join();
}
