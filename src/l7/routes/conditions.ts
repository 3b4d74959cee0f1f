/**
 * Header and cookie conditions as tables, so that a request costs one look-up for each name that conditions ask for, however
 * many routes there are.
 *
 * Candidates are routes in their order of priority; the first whose conditions all hold is taken, else `last`. A node asks for
 * one name after the other, always in the same order. A value that some candidate asks for leads to the next action: that of
 * the candidate, or another node with the candidates that are still possible. Any other value, or none, leaves the node as it
 * is, with the candidates that do not ask for this name.
 *
 *   x-beta: 1              -> beta         node 0   header:x-beta  1 -> b:beta
 *   cookie group=b, x-a: 1 -> canary                cookie:group   b -> c:1         node 1   header:x-a  1 -> b:canary
 *   else                   -> shop                  last  b:shop                             last  b:shop
 *
 * Routes that mix several names multiply: each node counts against the limit of entries.
 */
import type { L7Route } from '../../config/l7/types.js';
import { type Action, nodeAction } from './action.js';
import type { Budget } from './budget.js';

/** Where a value comes from: `header:x-beta` or `cookie:group`. */
export type Source = `${'header' | 'cookie'}:${string}`;

export interface Candidate {
  /** All must hold. */
  readonly conditions: ReadonlyMap<Source, string>;
  readonly action: Action;
}

export interface Test {
  readonly source: Source;
  readonly next: ReadonlyMap<string, Action>;
}

export interface Node {
  /** By source, in the order of all nodes. */
  readonly tests: readonly Test[];
  /** When no test decides; undefined: 404. */
  readonly last: Action | undefined;
}

/** The conditions of a route; undefined when they contradict each other. */
export function conditionsOf({ headers, cookies }: L7Route): ReadonlyMap<Source, string> | undefined {
  const conditions = new Map<Source, string>();
  for (const [kind, list] of [['header', headers] as const, ['cookie', cookies] as const])
    for (const { name, value } of list) {
      const source: Source = `${kind}:${name}`;
      if ((conditions.get(source) ?? value) !== value) return undefined;
      conditions.set(source, value);
    }
  return conditions;
}

export function isUnconditional({ headers, cookies }: L7Route): boolean {
  return headers.length === 0 && cookies.length === 0;
}

/** A candidate with its place in the order of priority. */
type Ranked = readonly [rank: number, candidate: Candidate];

/** Makes nodes; equal ones are one. */
export class NodeTable {
  readonly nodes: Node[] = [];
  readonly #sources: readonly Source[];
  readonly #budget: Budget;
  readonly #numbers = new Map<string, number>();
  readonly #keys = new Map<string, number>();

  /** @param sources all that candidates ask for, in the order of the tests */
  constructor(sources: readonly Source[], budget: Budget) {
    this.#sources = sources;
    this.#budget = budget;
  }

  /** The action that decides among candidates; undefined: 404. @throws RouteLimitError */
  decide(candidates: readonly Candidate[], last: Action | undefined): Action | undefined {
    const free = candidates.findIndex(({ conditions }) => conditions.size === 0);
    const asking = free < 0 ? candidates : candidates.slice(0, free);
    const end = free < 0 ? last : candidates[free].action;
    if (asking.length === 0) return end;
    const key = `${asking.map((candidate) => this.#keyOf(candidate)).join()} ${end ?? ''}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.nodes.length;
      this.#numbers.set(key, number);
      this.#budget.spend(asking.length);
      const tests: Test[] = [];
      // Its place is taken before its tests make other nodes.
      this.nodes.push({ tests, last: end });
      this.#addTests(tests, asking, end);
    }
    return nodeAction(number);
  }

  #addTests(tests: Test[], asking: readonly Candidate[], end: Action | undefined): void {
    let rest: readonly Ranked[] = [...asking.entries()];
    for (const source of this.#sources) {
      const byValue = new Map<string | undefined, Ranked[]>();
      for (const ranked of rest) {
        const value = ranked[1].conditions.get(source);
        const same = byValue.get(value);
        if (same === undefined) byValue.set(value, [ranked]);
        else same.push(ranked);
      }
      const others = byValue.get(undefined) ?? [];
      byValue.delete(undefined);
      const next = new Map<string, Action>();
      for (const [value, asks] of byValue) {
        this.#budget.spend(asks.length + others.length);
        const met = asks.map(([rank, candidate]): Ranked => [rank, without(candidate, source)]);
        const possible = [...met, ...others].sort(([a], [b]) => a - b).map(([, candidate]) => candidate);
        next.set(value as string, this.decide(possible, end)!);
      }
      if (next.size > 0) tests.push({ source, next });
      rest = others;
    }
  }

  /** A short name for a candidate's content. */
  #keyOf({ conditions, action }: Candidate): number {
    const text = JSON.stringify(
      [...conditions].sort(([a], [b]) => (a < b ? -1 : 1)).concat([[action as Source, '']]),
    );
    const known = this.#keys.get(text) ?? this.#keys.size;
    this.#keys.set(text, known);
    return known;
  }
}

function without({ conditions, action }: Candidate, source: Source): Candidate {
  return { conditions: new Map([...conditions].filter(([name]) => name !== source)), action };
}
