/**
 * Whoever changes a large fleet, one change after the other, in the two phases of fleet/apply.ts and fleet/member.ts. Their rules are here
 * with times in the place of messages:
 *
 *   asked --somebody does not answer--> refused: again later, without those
 *     |
 *     +--> prepared by all --would wait in a pool?--> wait --> in force in the fleet --> agents switch --> each node switches
 *
 * Who is left out is not ready until the next revision, and who is late for longer than SWITCH_MS until it has switched. Who cannot reach
 * the store goes by what it has, and is ready.
 */
import type { BackendConfig, PoolConfig } from '../../config/types.js';
import { AGENTS_MS } from '../../fleet/agents-have.js';
import { SWITCH_MS } from '../../fleet/head.js';
import { type Agenda, STEP_MS } from './agenda.js';
import { Chance } from './chance.js';
import { NOBODY, type Node, type Nodes, type Revision } from './nodes.js';
import type { Kind, LargeOptions } from './options.js';

/** How long members may take to prepare, and how often it is looked whether a change still waits (fleet/apply.ts, fleet/member.ts). */
const [PREPARE_MS, LOOK_MS] = [60_000, 1_000];
/** When the operator tries again, without those who do not answer. */
const AGAIN_MS = 30_000;
/** How much later a late node switches, on the average and at most. */
const [LATE_MS, LATE_MS_MAX] = [5_000, 30_000];
/** A change that is wanted of a pool. */
export interface Wanted {
  readonly kind: Kind;
  readonly pool: number;
  /** The backends as they are to be; undefined when there is nothing to change any more. */
  readonly edit: (backends: readonly BackendConfig[]) => readonly BackendConfig[] | undefined;
  /** Called when it is in force everywhere. */
  readonly done?: () => void;
}

interface Attempt {
  readonly wanted: Wanted;
  readonly file: PoolConfig;
  readonly without: ReadonlySet<Node>;
  readonly askedAtMs: number;
  /** By node that takes part. */
  readonly preparedAtMs: Map<Node, number>;
  allPreparedAtMs: number | undefined;
}

/** What became of changes. */
export interface Changes {
  asked: number;
  applied: number;
  /** Because somebody did not answer, or did not prepare in time. */
  refused: number;
  /** Nodes that were left out. */
  leftOut: number;
  /** By change that is in force: how long it took to be prepared by all, and then waited for others to settle. */
  readonly prepareMs: number[];
  readonly waitMs: number[];
  /** And to be in force on every node that could. */
  readonly switchMs: number[];
}

export class Operator {
  readonly #nodes: Nodes;
  readonly #agenda: Agenda;
  readonly #options: LargeOptions;
  readonly #chance: Chance;
  readonly #blame: (pool: number, kinds: readonly Kind[], kind: Kind) => void;
  readonly #queue: Wanted[] = [];
  #attempt: Attempt | undefined;
  #isBusy = false;
  readonly changes: Changes = {
    asked: 0,
    applied: 0,
    refused: 0,
    leftOut: 0,
    prepareMs: [],
    waitMs: [],
    switchMs: [],
  };

  /** @param blame called when all have switched that are not late: if one of `kinds` was why tables differ, `kind` is from now on */
  constructor(
    nodes: Nodes,
    agenda: Agenda,
    options: LargeOptions,
    blame: (pool: number, kinds: readonly Kind[], kind: Kind) => void,
  ) {
    this.#nodes = nodes;
    this.#agenda = agenda;
    this.#options = options;
    this.#chance = new Chance(options.seed, 12);
    this.#blame = blame;
  }

  ask(wanted: Wanted): void {
    this.changes.asked++;
    this.#queue.push(wanted);
    if (!this.#isBusy) this.#next();
  }

  /** A node reaches the store again, or has started: it prepares what is to come, and follows what is in force. */
  returned(node: Node, kind: Kind): void {
    if (!node.isRunning || !node.hasStore) return;
    const { nowMs } = this.#agenda;
    const attempt = this.#attempt;
    const readyAtMs = nowMs + this.#chance.spread(this.#options.prepare);
    if (attempt?.preparedAtMs.has(node)) attempt.preparedAtMs.set(node, readyAtMs);
    const { head } = this.#nodes;
    if (node.revision === head) return;
    this.#nodes.setBehind(node, true, kind);
    if (head.without.has(node)) return;
    this.#agenda.at(readyAtMs + this.#chance.spread(this.#options.switch), () => {
      if (node.isRunning && node.revision.number < head.number) this.#nodes.activate(node, head, kind);
    });
  }

  #next(): void {
    const wanted = this.#queue.shift();
    this.#isBusy = wanted !== undefined;
    if (wanted !== undefined) this.#begin(wanted, false);
  }

  #begin(wanted: Wanted, leavesOut: boolean): void {
    const { all, head } = this.#nodes;
    const { pool } = wanted;
    const backends = wanted.edit(head.files[pool].backends);
    if (backends === undefined) {
      this.changes.asked--;
      this.#next();
      return;
    }
    const silent = all.filter((node) => !this.#nodes.isHeard(node));
    if (silent.length > 0 && !leavesOut) {
      this.#refuse(wanted);
      return;
    }
    const without = new Set(silent);
    const { nowMs } = this.#agenda;
    const preparedAtMs = new Map(
      all.flatMap((node): [Node, number][] => {
        if (without.has(node)) return [];
        return [[node, nowMs + this.#chance.spread(this.#options.prepare)]];
      }),
    );
    this.#attempt = {
      wanted,
      file: { ...head.files[pool], backends },
      without,
      askedAtMs: nowMs,
      preparedAtMs,
      allPreparedAtMs: undefined,
    };
    this.changes.leftOut += without.size;
    this.#agenda.at(
      [...preparedAtMs.values()].reduce((a, b) => Math.max(a, b), nowMs),
      () => this.#look(),
    );
  }

  #refuse(wanted: Wanted): void {
    this.changes.refused++;
    this.#attempt = undefined;
    this.#agenda.in(AGAIN_MS, () => this.#begin(wanted, true));
  }

  /** Whether all are ready, and nothing is to be waited for. */
  #look(): void {
    const attempt = this.#attempt!;
    const { nowMs } = this.#agenda;
    const { askedAtMs, preparedAtMs, file, wanted } = attempt;
    const isPrepared = [...preparedAtMs].every(
      ([node, at]) => at <= nowMs && this.#nodes.isHeard(node) && (node.hasStore || at <= node.lostStoreAtMs),
    );
    if (!isPrepared && nowMs >= askedAtMs + PREPARE_MS) {
      this.#refuse(wanted);
      return;
    }
    if (isPrepared) attempt.allPreparedAtMs ??= nowMs;
    if (isPrepared && !this.#waits(attempt)) {
      this.changes.prepareMs.push(attempt.allPreparedAtMs! - askedAtMs);
      this.changes.waitMs.push(nowMs - attempt.allPreparedAtMs!);
      this.#putInForce(attempt, file);
      return;
    }
    this.#agenda.in(LOOK_MS, () => this.#look());
  }

  /** Whether a node would queue it. */
  #waits({ preparedAtMs, wanted: { pool }, file }: Attempt): boolean {
    const shared = this.#nodes.pools[pool];
    const views = new Set([...preparedAtMs.keys()].map(({ views }) => views[pool]));
    return [...views].some((view) => shared.edit(view, file, NOBODY, false, this.#agenda.nowMs).waits);
  }

  #putInForce({ wanted, without, preparedAtMs }: Attempt, file: PoolConfig): void {
    const { head, all } = this.#nodes;
    const revision = this.#nodes.comes(head.files.with(wanted.pool, file), without);
    this.#attempt = undefined;
    const reached = all.filter((node) => node.hasStore && node.isRunning);
    const [taking, others] = [true, false].map((is) =>
      reached.filter((node) => preparedAtMs.has(node) === is),
    );
    for (const node of others)
      this.#agenda.in(this.#chance.spread(this.#options.switch), () =>
        this.#nodes.setBehind(node, true, 'partition'),
      );
    // Forwarders wait for the last agent, and no longer than that.
    const agentsMs = Math.min(AGENTS_MS, this.#chance.greatest(file.backends.length, this.#options.switch));
    const late = new Set(taking.filter(() => this.#chance.share() < this.#options.late));
    const { nowMs } = this.#agenda;
    const left = { usual: taking.length - late.size, all: taking.length };
    for (const node of taking) {
      const isLate = late.has(node);
      this.#switch(node, revision, agentsMs, isLate, isLate ? 'late node' : wanted.kind, () => {
        left.all--;
        if (!isLate) left.usual--;
        this.#blameOthers(wanted, left);
        if (left.all === 0) this.#finish(wanted, nowMs);
      });
    }
    if (taking.length === 0) this.#finish(wanted, nowMs);
  }

  #switch(
    node: Node,
    revision: Revision,
    agentsMs: number,
    isLate: boolean,
    kind: Kind,
    switched: () => void,
  ): void {
    const lateMs = isLate ? Math.min(this.#chance.until(LATE_MS), LATE_MS_MAX) : 0;
    const tookMs = agentsMs + this.#chance.spread(this.#options.switch) + lateMs;
    const isBefore = (): boolean => node.isRunning && node.revision.number < revision.number;
    if (tookMs > SWITCH_MS)
      this.#agenda.in(SWITCH_MS, () => {
        if (isBefore()) this.#nodes.setBehind(node, true, kind);
      });
    this.#agenda.in(tookMs, () => {
      if (isBefore()) this.#nodes.activate(node, revision, kind);
      switched();
    });
  }

  /** Who still differs is why tables do, from the next step on. */
  #blameOthers({ pool, kind }: Wanted, left: { readonly usual: number; readonly all: number }): void {
    if (left.usual > 0) return;
    const other = left.all === 0 ? 'partition' : 'late node';
    this.#agenda.in(STEP_MS, () => this.#blame(pool, [kind, 'late node'], other));
  }

  #finish(wanted: Wanted, sinceMs: number): void {
    this.changes.applied++;
    this.changes.switchMs.push(this.#agenda.nowMs - sinceMs);
    wanted.done?.();
    this.#next();
  }
}
