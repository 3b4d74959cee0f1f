/**
 * How the nodes of a large fleet see backends: each by its own checks, of which some are lost, and then as `fleet.views` says.
 *
 *   own:     seen by a node -----------------------------------------> its marks
 *   quorum:  seen by a node --told--> agreed (fleet/agreed.ts) --heard--> marks of all that reach the store; the others go by their own
 *
 * Checks are those of the default config. A node's checks of one backend are played one by one (health/hysteresis.ts), but only from
 * when they begin to fail: a thousand nodes make five million checks a second.
 */

import {
  HEALTH_FALL_DEFAULT,
  HEALTH_INTERVAL_MS_DEFAULT,
  HEALTH_RISE_DEFAULT,
  HEALTH_TIMEOUT_MS_DEFAULT,
} from '../../core/limits.js';
import { Agreement, type HealthView, laterMs, seesMostDown } from '../../fleet/agreed.js';
import { judge, type Standing } from '../../health/hysteresis.js';
import { nodeName } from '../event.js';
import type { Agenda } from './agenda.js';
import { Chance, type Spread } from './chance.js';
import { NOBODY, type Node, type Nodes } from './nodes.js';
import type { Kind, LargeOptions } from './options.js';

const CHECKS = {
  intervalMs: HEALTH_INTERVAL_MS_DEFAULT,
  timeoutMs: HEALTH_TIMEOUT_MS_DEFAULT,
  rise: HEALTH_RISE_DEFAULT,
  fall: HEALTH_FALL_DEFAULT,
};
/** From what a node sees to the store, and from there to the others: some 0.1 s together (docs/health-checks.md). */
const TELL_MS = 30;
const HEAR: Spread = { medianMs: 30, p99Ms: 150 };
/** Without the store, a node has the others' views for a little longer. */
const FRESH_MS = 6000;

/** Why a node sees a backend down. */
export type Cause = 'crash' | 'lost checks' | 'blind node';

export class Sight {
  readonly #nodes: Nodes;
  readonly #agenda: Agenda;
  readonly #chance: Chance;
  readonly #options: LargeOptions;
  /** By node, by backend: why it sees it down. */
  readonly #seen: readonly Map<string, Set<Cause>>[];
  /** By backend: in which pool it is, and the revision that brought it. */
  readonly #backends = new Map<string, { readonly pool: number; readonly since: number }>();
  /** By pool: those that are down by what the nodes agree on. */
  #agreed: readonly ReadonlySet<string>[];
  #isAgreeing = false;
  /** Nodes that see too much down, and since when. */
  readonly #suspects = new Map<Node, number>();

  constructor(nodes: Nodes, agenda: Agenda, options: LargeOptions) {
    this.#nodes = nodes;
    this.#agenda = agenda;
    this.#options = options;
    this.#chance = new Chance(options.seed, 11);
    this.#seen = nodes.all.map(() => new Map());
    this.#agreed = nodes.pools.map(() => NOBODY);
    for (const [pool, { backends }] of nodes.head.files.entries())
      for (const { name } of backends) this.#backends.set(name, { pool, since: 0 });
  }

  knows(name: string, pool: number, since: number): void {
    this.#backends.set(name, { pool, since });
  }

  /** A machine does not answer any more: each node notices by and by. */
  crash(name: string): void {
    for (const node of this.#nodes.all)
      this.#agenda.in(this.#noticeMs(false), () => this.#see(node, name, 'crash', true, 'crash'));
  }

  recover(name: string): void {
    for (const node of this.#nodes.all)
      this.#agenda.in(this.#noticeMs(true), () => this.#see(node, name, 'crash', false, 'recovery'));
  }

  /** So many checks in a row were lost that a node believes it; then they come through again, or most of them. */
  mistake(node: Node, name: string): void {
    this.#see(node, name, 'lost checks', true, 'lost checks');
    this.#agenda.in(
      this.#checksMs({ isUp: false, against: 0 }, () => this.#chance.share() >= this.#options.loss),
      () => this.#see(node, name, 'lost checks', false, 'lost checks'),
    );
  }

  /** A node no longer gets to some backends, or does again. */
  blind(node: Node, names: readonly string[], isBlind: boolean): void {
    this.#agenda.in(this.#noticeMs(!isBlind), () => {
      for (const name of names) this.#note(node, name, 'blind node', isBlind);
      this.#tell(node, new Set(names.map((name) => this.#backends.get(name)!.pool)), 'blind node');
    });
  }

  /** A node loses the store, or has it again: it goes by its own view after a while, or by all views. */
  reach(node: Node): void {
    if (this.#options.views === 'own') return;
    this.#agenda.in(node.hasStore ? this.#chance.spread(HEAR) : FRESH_MS, () => {
      if (!this.#nodes.isHeard(node)) this.#markAll(node, 'partition');
      this.#agreeSoon('partition');
    });
  }

  /** How long one node after the first check that is wrong believes it. */
  #noticeMs(isUp: boolean): number {
    const { intervalMs, timeoutMs } = CHECKS;
    const phase = this.#chance.between(0, intervalMs);
    return phase + this.#checksMs({ isUp: !isUp, against: 0 }, () => isUp) + (isUp ? 0 : timeoutMs);
  }

  /** Time from one check to the one that turns the mark. */
  #checksMs(from: Standing, isGood: () => boolean): number {
    let mark = from;
    for (let ms = 0; ; ms += CHECKS.intervalMs) {
      mark = judge(mark, isGood(), CHECKS);
      if (mark.isUp !== from.isUp) return ms;
    }
  }

  #see(node: Node, name: string, cause: Cause, isDown: boolean, kind: Kind): void {
    if (this.#note(node, name, cause, isDown))
      this.#tell(node, new Set([this.#backends.get(name)!.pool]), kind);
  }

  /** Returns true when the node sees the backend otherwise. */
  #note({ index }: Node, name: string, cause: Cause, isDown: boolean): boolean {
    const seen = this.#seen[index];
    const causes = seen.get(name) ?? new Set();
    const before = causes.size;
    if (isDown) causes.add(cause);
    else causes.delete(cause);
    if (causes.size === 0) seen.delete(name);
    else seen.set(name, causes);
    return (before === 0) !== (causes.size === 0);
  }

  #tell(node: Node, pools: ReadonlySet<number>, kind: Kind): void {
    if (this.#options.views === 'own' || !this.#nodes.isHeard(node)) {
      for (const pool of pools) this.#nodes.mark(node, pool, this.#own(node, pool), kind);
      return;
    }
    this.#agreeSoon(kind);
    this.#suspect(node, kind);
  }

  #own({ index }: Node, pool: number): ReadonlySet<string> {
    return new Set([...this.#seen[index].keys()].filter((name) => this.#backends.get(name)!.pool === pool));
  }

  #markAll(node: Node, kind: Kind): void {
    for (const pool of this.#nodes.pools.keys()) this.#nodes.mark(node, pool, this.#own(node, pool), kind);
  }

  /** What is told within a moment is heard together. */
  #agreeSoon(kind: Kind): void {
    if (this.#isAgreeing) return;
    this.#isAgreeing = true;
    this.#agenda.in(TELL_MS, () => {
      this.#isAgreeing = false;
      this.#agree(kind);
    });
  }

  /** All that reach the store have the same views, so what follows from them is worked out once. */
  #agree(kind: Kind): void {
    const heard = this.#nodes.all.filter((node) => this.#nodes.isHeard(node));
    if (heard.length === 0) return;
    const views = heard.map(
      ({ index, revision }): HealthView => ({
        node: nodeName(index),
        revision: revision.number,
        down: new Set(this.#seen[index].keys()),
      }),
    );
    const [own, ...others] = views.sort((a, b) => b.revision - a.revision);
    const agreement = new Agreement(others);
    const down = this.#nodes.pools.map(() => new Set<string>());
    for (const name of new Set(views.flatMap((view) => [...view.down]))) {
      const { pool, since } = this.#backends.get(name)!;
      if (!agreement.of(name, since, !own.down.has(name)).isUp) down[pool].add(name);
    }
    this.#agreed = down.map((names, i) => (isSame(names, this.#agreed[i]) ? this.#agreed[i] : names));
    for (const node of heard) {
      const isOther = this.#agreed.some((names, i) => node.down[i] !== names);
      if (isOther) this.#agenda.in(this.#chance.spread(HEAR), () => this.#hear(node, kind));
    }
    for (const node of this.#suspects.keys()) this.#suspect(node, kind);
  }

  #hear(node: Node, kind: Kind): void {
    if (!this.#nodes.isHeard(node)) return;
    for (const [pool, names] of this.#agreed.entries())
      if (node.down[pool] !== names) this.#nodes.mark(node, pool, names, kind);
  }

  /** A node that sees most of a pool down, against the others, for longer than they need to see it too, is not ready. */
  #suspect(node: Node, kind: Kind): void {
    const { nowMs } = this.#agenda;
    const isWrong = this.#nodes.head.files.some(({ backends }, pool) => {
      const disputed = [...this.#own(node, pool)].filter((name) => !this.#agreed[pool].has(name)).length;
      return seesMostDown(disputed, backends.length);
    });
    if (!isWrong) {
      this.#suspects.delete(node);
      this.#nodes.setBlind(node, false, kind);
      return;
    }
    if (this.#suspects.has(node)) return;
    this.#suspects.set(node, nowMs);
    this.#agenda.in(laterMs([CHECKS]), () => {
      if (this.#suspects.get(node) === nowMs) this.#nodes.setBlind(node, true, kind);
    });
  }
}

function isSame(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return some.size === others.size && [...some].every((name) => others.has(name));
}
