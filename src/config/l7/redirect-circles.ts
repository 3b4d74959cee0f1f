/**
 * Redirects that lead back to themselves. A redirect is followed on its own frontend
 * only, with the conditions of its route and no others, so what is reported happens for certain.
 */
import type { DraftService } from '../draft.js';
import type { Report } from '../problems.js';
import type { DraftFrontend, DraftRoute } from './judge.js';
import { conditionsOf, isUncertain, isWithin, placeKey } from './reachable-routes.js';

const DEFAULT_PORTS = { http: 80, https: 443 } as const;
type Scheme = keyof typeof DEFAULT_PORTS;

/** Browsers follow about as many, one after the other. */
const REDIRECTS_MAX = 20;

interface Place {
  readonly host: string;
  readonly path: string;
}

export function refuseCircles(
  frontend: DraftFrontend,
  services: readonly DraftService[],
  report: Report,
): void {
  const routes = frontend.routes.filter((route) => !isUncertain(route));
  if (routes.length < frontend.routes.length) return; // others may take the requests
  const listens = listenerOf(frontend, services);
  const byPlace = new Map<string, DraftRoute[]>();
  for (const route of routes) {
    const key = placeKey(route.host, route.path);
    const same = byPlace.get(key);
    if (same === undefined) byPlace.set(key, [route]);
    else same.push(route);
  }
  for (const route of routes) {
    if (route.redirect === undefined || !leadsBack(route, byPlace, listens)) continue;
    report(
      [...route.at, 'redirect'],
      'redirects in a circle: a request for this URL gets here again; expected another URL, or a route to an upstream for it',
    );
  }
}

/** Whether the frontend takes connections of this scheme and port. */
function listenerOf(frontend: DraftFrontend, services: readonly DraftService[]) {
  const own = new Set(frontend.services.map(({ value }) => value));
  const ports = services.filter(({ name }) => name !== undefined && own.has(name)).map(({ ports }) => ports);
  const scheme: Scheme = frontend.written.has('certificates') ? 'https' : 'http';
  return (asked: string, port: number): boolean =>
    asked === scheme && ports.some((range) => range && port >= range.first && port <= range.last);
}

function leadsBack(
  start: DraftRoute,
  byPlace: ReadonlyMap<string, readonly DraftRoute[]>,
  listens: ReturnType<typeof listenerOf>,
): boolean {
  const conditions = conditionsOf(start);
  const seen = new Set<string>();
  let { path } = start;
  for (let route: DraftRoute | undefined = start; route?.redirect !== undefined; ) {
    const [, scheme, host, port, rest] = /^([^:]+):\/\/([^:/]+)(?::([0-9]+))?(.*)$/.exec(route.redirect.url)!;
    const asked = scheme!.toLowerCase() as Scheme;
    if (!listens(asked, port === undefined ? DEFAULT_PORTS[asked] : Number(port))) return false;
    path = route.redirect.isPrefix ? path : rest!;
    const place = { host: host!.toLowerCase(), path };
    const key = JSON.stringify(place);
    if (seen.has(key) || seen.size === REDIRECTS_MAX) return false; // a circle of others is reported at these
    seen.add(key);
    route = routeOf(place, conditions, byPlace);
    if (route === start) return true;
  }
  return false;
}

/** The route of a request that meets these conditions and no others. */
function routeOf(
  { host, path }: Place,
  conditions: ReadonlySet<string>,
  byPlace: ReadonlyMap<string, readonly DraftRoute[]>,
): DraftRoute | undefined {
  for (const pattern of patternsOf(host))
    for (const prefix of prefixesOf(path)) {
      const found = byPlace
        .get(placeKey(pattern, prefix))
        ?.find((route) => isWithin(conditionsOf(route), conditions));
      if (found !== undefined) return found;
    }
  return undefined;
}

/** The host patterns that match a host, the most specific first. */
function patternsOf(host: string): (string | undefined)[] {
  const labels = host.split('.');
  const wildcards = labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join('.')}`);
  return [host, ...wildcards, undefined];
}

/** The path and what is above it by whole segments, the longest first. */
function prefixesOf(path: string): string[] {
  const steps = path.split('/').slice(1, path.endsWith('/') ? -1 : undefined);
  return [...steps.map((_, index) => `/${steps.slice(0, steps.length - index).join('/')}`), '/'];
}
