/**
 * From the routes of one frontend to tables, which maps.ts and rules.ts write for HAProxy and explain.ts evaluates. One rule for
 * each route would be too slow: HAProxy evaluates them one after the other, and 1000 take nineteen requests of twenty away.
 *
 *   Host -> group    exact host, else the wildcard with the most labels, else any host
 *   group + path -> action    the longest entry
 *   action "c:N" -> action    where headers and cookies decide
 *
 * The tables depend on the order of routes only where this order decides, so other changes of it change no file.
 */
import type { L7Redirect, L7Route } from '../../config/l7/types.js';
import { type Action, actionOf, redirectPrefix } from './action.js';
import { Budget, checkNames } from './budget.js';
import { type Candidate, conditionsOf, type Node, NodeTable, type Source } from './conditions.js';
import { chainOf, flatten, groupRoutes } from './flatten.js';
import { ANY_HOST, type Group, isWildcard, labelsOf, suffixKey } from './matching.js';
import { multiplied } from './multiplied.js';

export interface Entry {
  /** Of the map: group and path, `api.example.com/v1/`. */
  readonly key: string;
  readonly action: Action;
  /** Indexes of routes in the order of priority; only the last may be without conditions. */
  readonly candidates: readonly number[];
}

export interface CompiledRoutes {
  readonly routes: readonly L7Route[];
  /** Exact hosts, which name their group. */
  readonly hosts: ReadonlySet<Group>;
  /** Reversed suffixes with their wildcards: `com.example.` and `*.example.com`. */
  readonly suffixes: ReadonlyMap<string, Group>;
  /** Labels of the longest suffix; 0 without wildcards. */
  readonly suffixLabels: number;
  /** Some routes are for any host. */
  readonly hasAnyHost: boolean;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly nodes: readonly Node[];
  /** What conditions ask for, in the order of the tests, each with the index of the first route that does. */
  readonly sources: ReadonlyMap<Source, number>;
  /** Kinds of redirects that occur, each with the index of a route that has it. */
  readonly redirects: ReadonlyMap<string, { readonly redirect: L7Redirect; readonly route: number }>;
  /** Indexes of routes that no request can take, because others stand before them. */
  readonly unreachable: readonly number[];
}

/** @throws RouteLimitError when routes multiply */
export function compileRoutes(routes: readonly L7Route[]): CompiledRoutes {
  const groups = groupRoutes(routes);
  const sources = sourcesOf(routes);
  const budget = new Budget(() => multiplied(groups, routes));
  const nodes = new NodeTable([...sources.keys()], budget);
  const candidates = routes.map(candidateOf);
  const entries = new Map<string, Entry>();
  const reachable = new Set<number>();
  for (const start of groups.values())
    for (const { path, candidates: indexes } of flatten(chainOf(start, groups), routes, budget)) {
      const key = start.group + path;
      // There is an action: each path has candidates.
      const action = nodes.decide(
        indexes.map((index) => candidates[index]),
        undefined,
      )!;
      entries.set(key, { key, action, candidates: indexes });
      for (const index of indexes) reachable.add(index);
    }
  const names = [...groups.keys()];
  const wildcards = names.filter(isWildcard);
  const used = new Set(nodes.nodes.flatMap(({ tests }) => tests.map(({ source }) => source)));
  return {
    routes,
    hosts: new Set(names.filter((group) => group !== ANY_HOST && !isWildcard(group))),
    suffixes: new Map(wildcards.map((group) => [suffixKey(group), group])),
    suffixLabels: Math.max(0, ...wildcards.map(labelsOf)),
    hasAnyHost: groups.has(ANY_HOST),
    entries,
    nodes: nodes.nodes,
    sources: new Map([...sources].filter(([source]) => used.has(source))),
    redirects: redirectsOf(routes),
    unreachable: [...routes.keys()].filter((index) => !reachable.has(index)),
  };
}

function candidateOf(route: L7Route): Candidate {
  return { conditions: conditionsOf(route) ?? new Map(), action: actionOf(route) };
}

function sourcesOf(routes: readonly L7Route[]): Map<Source, number> {
  const first = new Map<Source, number>();
  for (const [index, route] of routes.entries())
    for (const source of conditionsOf(route)?.keys() ?? []) if (!first.has(source)) first.set(source, index);
  checkNames(first.size, [...first.values()]);
  return new Map([...first].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function redirectsOf(routes: readonly L7Route[]): CompiledRoutes['redirects'] {
  const kinds = new Map<string, { redirect: L7Redirect; route: number }>();
  for (const [route, { redirect }] of routes.entries()) {
    if (redirect === undefined || kinds.has(redirectPrefix(redirect))) continue;
    kinds.set(redirectPrefix(redirect), { redirect, route });
  }
  return new Map([...kinds].sort(([a], [b]) => (a < b ? -1 : 1)));
}
