/** Which route a request takes, and why: the steps of HAProxy's rules (rules.ts) over the same tables. */
import type { NameValue } from '../../config/l7/types.js';
import { type Action, nodeOf } from './action.js';
import type { CompiledRoutes, Entry } from './compile.js';
import { conditionsOf, type Source } from './conditions.js';
import { lastCookie } from './cookies.js';
import {
  ANY_HOST,
  type Group,
  longestPrefix,
  requestHost,
  requestKey,
  requestSuffix,
  trimmed,
} from './matching.js';

export interface RouteRequest {
  /** The `Host` header as sent; undefined without one. */
  readonly host: string | undefined;
  /** As sent, with or without a query; undefined for a target without one, such as `*`. */
  readonly path: string | undefined;
  /** Header lines in their order, `Cookie` among them. */
  readonly headers: readonly NameValue[];
}

export interface PassedOver {
  /** Index of a route. */
  readonly route: number;
  /** Its conditions that do not hold, and what the request has instead; undefined: nothing. */
  readonly unmet: readonly {
    readonly source: Source;
    readonly value: string;
    readonly found: string | undefined;
  }[];
}

export interface RouteExplanation {
  /** As it is compared: in lower case, without port. */
  readonly host: string;
  /** The host pattern that matches; undefined when none does, and no route is for any host. */
  readonly group: Group | undefined;
  /** The entry that matches, `api.example.com/v1/`; undefined: none. */
  readonly key: string | undefined;
  /** Routes before the one that is taken. */
  readonly passedOver: readonly PassedOver[];
  /** Index of the route that is taken; undefined: the answer is 404. */
  readonly route: number | undefined;
  readonly action: Action | undefined;
}

export function explainRoute(compiled: CompiledRoutes, request: RouteRequest): RouteExplanation {
  const host = requestHost(request.host);
  const group = groupFor(compiled, host);
  const entry =
    group === undefined ? undefined : longestPrefix(compiled.entries, requestKey(group, request.path), '/');
  if (entry === undefined)
    return { host, group, key: undefined, passedOver: [], route: undefined, action: undefined };
  const values = valuesOf(compiled, request);
  const action = decide(compiled, entry.action, values);
  return { host, group, key: entry.key, ...chosen(compiled, entry, values), action };
}

function groupFor(compiled: CompiledRoutes, host: string): Group | undefined {
  if (compiled.hosts.has(host)) return host;
  const wildcard = longestPrefix(compiled.suffixes, requestSuffix(host), '.');
  return wildcard ?? (compiled.hasAnyHost ? ANY_HOST : undefined);
}

type Values = ReadonlyMap<Source, string>;

/** What the request has where conditions ask: of several lines of a header, the last. */
function valuesOf({ sources }: CompiledRoutes, { host, headers }: RouteRequest): Values {
  const lines = host === undefined ? headers : [{ name: 'host', value: host }, ...headers];
  const linesOf = (name: string) =>
    lines.filter((line) => line.name.toLowerCase() === name).map(({ value }) => trimmed(value));
  const cookies = linesOf('cookie');
  const values = new Map<Source, string>();
  for (const source of sources.keys()) {
    const name = source.slice('header:'.length);
    const value = source.startsWith('header:') ? linesOf(name).at(-1) : lastCookie(cookies, name);
    if (value !== undefined) values.set(source, value);
  }
  return values;
}

function decide({ nodes }: CompiledRoutes, start: Action, values: Values): Action | undefined {
  let action: Action | undefined = start;
  for (
    let node = nodeOf(start);
    node !== undefined;
    node = action === undefined ? undefined : nodeOf(action)
  ) {
    const { tests, last }: (typeof nodes)[number] = nodes[node];
    const met = tests
      .map(({ source, next }) => next.get(values.get(source) ?? ''))
      .find((next) => next !== undefined);
    action = met ?? last;
  }
  return action;
}

function chosen(
  { routes }: CompiledRoutes,
  { candidates }: Entry,
  values: Values,
): Pick<RouteExplanation, 'passedOver' | 'route'> {
  const passedOver: PassedOver[] = [];
  for (const route of candidates) {
    const unmet = [...conditionsOf(routes[route])!]
      .map(([source, value]) => ({ source, value, found: values.get(source) }))
      .filter(({ value, found }) => value !== found);
    if (unmet.length === 0) return { passedOver, route };
    passedOver.push({ route, unmet });
  }
  return { passedOver, route: undefined };
}
