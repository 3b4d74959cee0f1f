/**
 * For one group of hosts, which routes a path may take: those of the group, then those of the less specific groups that a
 * request falls through to. The result holds for the longest of its paths that is a prefix, so one look-up is enough.
 */
import type { L7Route } from '../../config/l7/types.js';
import type { Budget } from './budget.js';
import { conditionsOf, isUnconditional } from './conditions.js';
import { type Group, groupOf, lessSpecific, pathKey } from './matching.js';

export interface RouteGroup {
  readonly group: Group;
  /** Indexes of routes by the key of their path, in the order of the file. */
  readonly byPath: ReadonlyMap<string, readonly number[]>;
  /** Every request is answered here: nothing falls through. */
  readonly isFinal: boolean;
}

/** Groups in the order of their names, without routes whose conditions contradict each other. */
export function groupRoutes(routes: readonly L7Route[]): Map<Group, RouteGroup> {
  const paths = new Map<Group, Map<string, number[]>>();
  const final = new Set<Group>();
  for (const [index, route] of routes.entries()) {
    if (conditionsOf(route) === undefined) continue;
    const group = groupOf(route.host);
    const key = pathKey(route.path);
    const byPath = paths.get(group) ?? new Map<string, number[]>();
    paths.set(group, byPath);
    const same = byPath.get(key);
    if (same === undefined) byPath.set(key, [index]);
    else same.push(index);
    if (key === '/' && isUnconditional(route)) final.add(group);
  }
  return new Map(
    [...paths.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([group, byPath]) => [group, { group, byPath, isFinal: final.has(group) }]),
  );
}

/** The group and those that its requests fall through to, in this order. */
export function chainOf(start: RouteGroup, groups: ReadonlyMap<Group, RouteGroup>): RouteGroup[] {
  const chain = [start, ...lessSpecific(start.group).flatMap((group) => groups.get(group) ?? [])];
  const end = chain.findIndex(({ isFinal }) => isFinal);
  return end < 0 ? chain : chain.slice(0, end + 1);
}

export interface FlatPath {
  readonly path: string;
  /** Indexes of routes in the order of priority; only the last may be without conditions. */
  readonly candidates: readonly number[];
}

/** A list that shares its end with others; a route without conditions ends it. */
type Linked = { readonly route: number; readonly next: Linked } | undefined;

interface Level {
  readonly path: string;
  /** For each group of the chain. */
  readonly lists: readonly Linked[];
  readonly candidates: readonly number[];
}

/** In the order of paths, without those that decide like the next shorter one. @throws RouteLimitError */
export function flatten(
  chain: readonly RouteGroup[],
  routes: readonly L7Route[],
  budget: Budget,
): FlatPath[] {
  // Paths end with "/", so what extends a path follows it.
  const paths = [...new Set(chain.flatMap(({ byPath }) => [...byPath.keys()]))].sort();
  const flat: FlatPath[] = [];
  const above: Level[] = [];
  for (const path of paths) {
    while (above.length > 0 && !path.startsWith(above.at(-1)!.path)) above.pop();
    const parent = above.at(-1);
    const lists = chain.map(({ byPath }, i) => link(byPath.get(path) ?? [], parent?.lists[i], routes));
    const candidates = join(lists, routes);
    budget.spend(candidates.length);
    above.push({ path, lists, candidates });
    if (parent === undefined || !isSame(candidates, parent.candidates)) flat.push({ path, candidates });
  }
  return flat;
}

function link(indexes: readonly number[], shorter: Linked, routes: readonly L7Route[]): Linked {
  const end = indexes.findIndex((index) => isUnconditional(routes[index]));
  const own = end < 0 ? indexes : indexes.slice(0, end + 1);
  return own.reduceRight<Linked>((next, route) => ({ route, next }), end < 0 ? shorter : undefined);
}

function join(lists: readonly Linked[], routes: readonly L7Route[]): number[] {
  const candidates: number[] = [];
  for (const list of lists)
    for (let item = list; item !== undefined; item = item.next) {
      candidates.push(item.route);
      if (isUnconditional(routes[item.route])) return candidates;
    }
  return candidates;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((index, i) => index === b[i]);
}
