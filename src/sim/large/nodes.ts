/**
 * The nodes of a large fleet: what each knows of each pool, the revision that is in force there, whom it can reach, and whether it is
 * ready; and the router, which follows readiness a little later.
 */
import type { PoolConfig } from '../../config/types.js';
import { MISSED_MAX } from '../../fleet/missed.js';
import type { Agenda } from './agenda.js';
import type { Kind } from './options.js';
import type { SharedPool, View } from './shared-pool.js';

/** From not ready to gone from a router's next hops, and from ready to being one: routing daemons export within 0.1 s. */
const [WITHDRAW_MS, ANNOUNCE_MS] = [100, 1000];
/** How long a forwarder's word outlives it (fleet/member.ts, fleet/health-views.ts). */
const LEASE_MS = 5000;

export const NOBODY: ReadonlySet<string> = new Set();

/** What the fleet has in force. */
export interface Revision {
  readonly number: number;
  readonly sinceMs: number;
  /** By pool. */
  readonly files: readonly PoolConfig[];
  readonly without: ReadonlySet<Node>;
}

export interface Node {
  readonly index: number;
  /** By pool. */
  readonly views: View[];
  /** By pool: the backends that are down by what this node goes by. */
  readonly down: ReadonlySet<string>[];
  revision: Revision;
  isRunning: boolean;
  hasStore: boolean;
  lostStoreAtMs: number;
  /** It knows of a revision that is not in force here, and may not serve because of that. */
  isBehind: boolean;
  /** It sees most of a pool down, against the others. */
  isBlind: boolean;
  /** One of the router's next hops. */
  isRouted: boolean;
}

export class Nodes {
  readonly #agenda: Agenda;
  readonly pools: readonly SharedPool[];
  readonly all: readonly Node[];
  /** The newest first. */
  readonly #revisions: Revision[];
  /** Since the last look: pools whose tables may have changed on a node, and what changed them. */
  readonly touched = new Map<number, Kind>();
  /** Since the last look: what changed the router's next hops. */
  rerouted: Kind | undefined;
  readonly withdrawals = new Map<Kind, number>();

  constructor(agenda: Agenda, pools: readonly SharedPool[], files: readonly PoolConfig[], count: number) {
    this.#agenda = agenda;
    this.pools = pools;
    this.#revisions = [{ number: 1, sinceMs: 0, files, without: new Set() }];
    const views = pools.map((pool, i) => pool.first(files[i]));
    this.all = Array.from({ length: count }, (_, index) => ({
      index,
      views: [...views],
      down: pools.map(() => NOBODY),
      revision: this.head,
      isRunning: true,
      hasStore: true,
      lostStoreAtMs: Number.NEGATIVE_INFINITY,
      isBehind: false,
      isBlind: false,
      isRouted: true,
    }));
  }

  get head(): Revision {
    return this.#revisions[0]!;
  }

  /** Another revision is in force in the fleet. */
  comes(files: readonly PoolConfig[], without: ReadonlySet<Node>): Revision {
    const number = this.head.number + 1;
    this.#revisions.unshift({ number, sinceMs: this.#agenda.nowMs, files, without });
    this.#revisions.splice(MISSED_MAX + 2);
    return this.head;
  }

  get routed(): Node[] {
    return this.all.filter(({ isRouted }) => isRouted);
  }

  /** Whether the store still has what the node said. */
  isHeard({ isRunning, hasStore, lostStoreAtMs }: Node): boolean {
    return isRunning && (hasStore || this.#agenda.nowMs < lostStoreAtMs + LEASE_MS);
  }

  /** Time passes, and agents are asked. */
  pass(): void {
    for (const node of this.all)
      for (const [i, pool] of this.pools.entries())
        this.#enter(node, i, pool.pass(node.views[i], this.#agenda.nowMs), 'settling');
  }

  /** Forgets what no node is in. */
  tidy(): void {
    for (const [i, pool] of this.pools.entries()) pool.keep(new Set(this.all.map(({ views }) => views[i])));
  }

  /** A revision is in force on a node. */
  activate(node: Node, revision: Revision, kind: Kind): void {
    const before = node.revision;
    node.revision = revision;
    for (const [i, pool] of this.pools.entries()) {
      if (revision.files[i] === before.files[i]) continue;
      const after = pool.edit(node.views[i], revision.files[i], node.down[i], false, this.#agenda.nowMs);
      this.#enter(node, i, after, kind);
    }
    this.#recall(node, before, kind);
    this.setBehind(node, false, kind);
  }

  /** It remembers what was in force elsewhere between `before` and what it has now (fleet/missed.ts). */
  #recall(node: Node, before: Revision, kind: Kind): void {
    const { nowMs } = this.#agenda;
    const missed = this.#revisions.flatMap((one, i) => {
      const isMissed = one.number > before.number && one.number < node.revision.number;
      return isMissed ? [{ files: one.files, untilMs: this.#revisions[i - 1]!.sinceMs }] : [];
    });
    if (missed.length === 0) return;
    for (const [i, pool] of this.pools.entries()) {
      const files = missed.map(({ files, untilMs }) => ({ file: files[i]!, untilMs }));
      this.#enter(node, i, pool.recall(node.views[i], files, nowMs), kind);
    }
  }

  /** What a node goes by of a pool's backends. */
  mark(node: Node, pool: number, down: ReadonlySet<string>, kind: Kind): void {
    node.down[pool] = down;
    if (!node.isRunning) return;
    this.#enter(node, pool, this.pools[pool].mark(node.views[pool], down, this.#agenda.nowMs), kind);
  }

  /** The process ends, after it has withdrawn. */
  stop(node: Node, kind: Kind): void {
    node.isRunning = false;
    this.#setRouted(node, false, kind);
    this.#count(kind);
  }

  /** The process is there again, with what it remembers, and the last revision that it can have. */
  start(node: Node, kind: Kind): void {
    node.isRunning = true;
    const { head } = this;
    const before = node.revision;
    if (node.hasStore && !head.without.has(node)) node.revision = head;
    node.isBehind = node.hasStore && node.revision !== head;
    for (const [i, pool] of this.pools.entries()) {
      const { nowMs } = this.#agenda;
      const view = pool.restart(node.views[i], node.revision.files[i], nowMs);
      this.#enter(node, i, pool.mark(view, node.down[i], nowMs), kind);
    }
    this.#recall(node, before, kind);
    this.#announce(node, kind);
  }

  setBehind(node: Node, isBehind: boolean, kind: Kind): void {
    if (node.isBehind === isBehind) return;
    const wasReady = isReady(node);
    node.isBehind = isBehind;
    this.#follow(node, wasReady, kind);
  }

  setBlind(node: Node, isBlind: boolean, kind: Kind): void {
    if (node.isBlind === isBlind) return;
    const wasReady = isReady(node);
    node.isBlind = isBlind;
    this.#follow(node, wasReady, kind);
  }

  #follow(node: Node, wasReady: boolean, kind: Kind): void {
    if (isReady(node) === wasReady) return;
    if (!wasReady) {
      this.#announce(node, kind);
      return;
    }
    if (node.isRunning) this.#count(kind);
    this.#agenda.in(WITHDRAW_MS, () => {
      if (!isReady(node)) this.#setRouted(node, false, kind);
    });
  }

  #announce(node: Node, kind: Kind): void {
    this.#agenda.in(ANNOUNCE_MS, () => {
      if (isReady(node)) this.#setRouted(node, true, kind);
    });
  }

  #setRouted(node: Node, isRouted: boolean, kind: Kind): void {
    if (node.isRouted === isRouted) return;
    node.isRouted = isRouted;
    this.rerouted = kind;
  }

  #enter(node: Node, pool: number, view: View, kind: Kind): void {
    if (node.views[pool] === view) return;
    node.views[pool] = view;
    this.touched.set(pool, kind);
  }

  #count(kind: Kind): void {
    this.withdrawals.set(kind, (this.withdrawals.get(kind) ?? 0) + 1);
  }
}

function isReady({ isRunning, isBehind, isBlind }: Node): boolean {
  return isRunning && !isBehind && !isBlind;
}
