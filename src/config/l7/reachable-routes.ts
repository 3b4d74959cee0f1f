/**
 * Routes that get no request. Of routes with the same host and path the first whose conditions hold is taken, so a route is
 * unreachable when an earlier one asks for nothing that it does not ask for too.
 */
import type { ConfigDocument } from '../document.js';
import { describePlace } from '../problems.js';
import type { DraftRoute, Judge } from './judge.js';

export function checkReachable(routes: readonly DraftRoute[], { document, report }: Judge): void {
  const byPlace = new Map<string, DraftRoute[]>();
  for (const route of routes) {
    if (isUncertain(route)) continue;
    const key = placeKey(route.host, route.path);
    const same = byPlace.get(key);
    if (same === undefined) byPlace.set(key, [route]);
    else same.push(route);
  }
  for (const same of byPlace.values()) {
    if (same.length === 1) continue;
    const earlier = new Earlier(same.map(conditionsOf));
    for (const route of same) {
      const conditions = conditionsOf(route);
      const taker = earlier.takerOf(conditions);
      if (taker === undefined) earlier.add(route, conditions);
      else report(route.at, message(document, taker, conditionsOf(taker).size > 0));
    }
  }
}

function message(document: ConfigDocument, taker: DraftRoute, hasConditions: boolean): string {
  const what = hasConditions ? 'host and path and asks for no more' : 'host and path and no conditions';
  return (
    `no request gets here: the route of ${describePlace(document, taker.at)} has the same ${what}; ` +
    'expected routes with more conditions before those with fewer'
  );
}

/** Routes with one host and path, in the order of the file. */
class Earlier {
  #unconditional: DraftRoute | undefined;
  /** Each by one of its conditions, which a later route must have too: the rarest, so that few are compared. */
  readonly #byCondition = new Map<string, { route: DraftRoute; conditions: ReadonlySet<string> }[]>();
  readonly #counts = new Map<string, number>();

  /** @param all the conditions of each of them */
  constructor(all: readonly ReadonlySet<string>[]) {
    for (const conditions of all)
      for (const each of conditions) this.#counts.set(each, (this.#counts.get(each) ?? 0) + 1);
  }

  add(route: DraftRoute, conditions: ReadonlySet<string>): void {
    if (conditions.size === 0) {
      this.#unconditional = route;
      return;
    }
    const rarest = [...conditions].reduce((best, each) =>
      this.#counts.get(each)! < this.#counts.get(best)! ? each : best,
    );
    const same = this.#byCondition.get(rarest) ?? [];
    same.push({ route, conditions });
    this.#byCondition.set(rarest, same);
  }

  /** The route that takes all requests with these conditions. */
  takerOf(conditions: ReadonlySet<string>): DraftRoute | undefined {
    if (this.#unconditional !== undefined) return this.#unconditional;
    for (const condition of conditions)
      for (const { route, conditions: asked } of this.#byCondition.get(condition) ?? [])
        if (isWithin(asked, conditions)) return route;
    return undefined;
  }
}

/** As texts that are equal for equal conditions. */
export function conditionsOf({ headers = [], cookies = [] }: DraftRoute): ReadonlySet<string> {
  return new Set([
    ...headers.map(({ name, value }) => JSON.stringify(['header', name.toLowerCase(), value])),
    ...cookies.map(({ name, value }) => JSON.stringify(['cookie', name, value])),
  ]);
}

export function isWithin<T>(part: ReadonlySet<T>, whole: ReadonlySet<T>): boolean {
  return part.size <= whole.size && [...part].every((each) => whole.has(each));
}

/** A mistake in what decides makes it unknown which requests a route takes. */
export function isUncertain({ wrong }: DraftRoute): boolean {
  return ['host', 'path', 'header', 'cookie'].some((field) => wrong.has(field));
}

/** Equal for routes that take the same requests but for conditions: a slash at the end of a path makes no difference. */
export function placeKey(host: string | undefined, path: string): string {
  return `${host ?? ''} ${path.endsWith('/') ? path : `${path}/`}`;
}
