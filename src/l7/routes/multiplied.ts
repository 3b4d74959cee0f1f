/** Says which routes multiply, when those of a frontend become too many entries. */
import type { L7Route } from '../../config/l7/types.js';
import { L7_ROUTE_ENTRIES_MAX } from '../../core/limits.js';
import { RouteLimitError } from './budget.js';
import { isUnconditional } from './conditions.js';
import { chainOf, type RouteGroup } from './flatten.js';
import { ANY_HOST, type Group } from './matching.js';

/** Indexes in an error; more help nobody. */
const ROUTES_NAMED_MAX = 16;

export function multiplied(
  groups: ReadonlyMap<Group, RouteGroup>,
  routes: readonly L7Route[],
): RouteLimitError {
  const repeats = new Map<RouteGroup, RouteGroup[]>();
  for (const start of groups.values())
    for (const group of chainOf(start, groups).slice(1)) {
      const into = repeats.get(group) ?? [];
      repeats.set(group, into);
      into.push(start);
    }
  const costOf = ([group, into]: [RouteGroup, RouteGroup[]]) => group.byPath.size * into.length;
  const [worst] = [...repeats].sort((a, b) => costOf(b) - costOf(a));
  const tooMany = `the routes of one frontend become more than ${L7_ROUTE_ENTRIES_MAX} map entries`;
  // Conditions multiply what paths alone do not.
  if (worst === undefined || costOf(worst) < L7_ROUTE_ENTRIES_MAX / 4) {
    const conditional = [...routes.keys()].filter((index) => !isUnconditional(routes[index]));
    return new RouteLimitError(
      `${tooMany}: ${conditional.length} routes with conditions on headers or cookies combine`,
      'Use fewer such routes for one path, or conditions on fewer names.',
      conditional.slice(0, ROUTES_NAMED_MAX),
    );
  }
  const [{ group, byPath }, into] = worst;
  const whose = group === ANY_HOST ? 'any host' : `"${group}"`;
  return new RouteLimitError(
    `${tooMany}: the ${byPath.size} paths of routes for ${whose} are repeated for ${into.length} other hosts, "${into[0].group}" among them`,
    'Give these hosts a route with neither path nor condition, so that none of their requests falls through.',
    into
      .flatMap((start) => [...start.byPath.values()].flat())
      .sort((a, b) => a - b)
      .slice(0, ROUTES_NAMED_MAX),
  );
}
