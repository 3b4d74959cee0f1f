/**
 * Which route a request takes, from the words of the documentation and without tables: every route that matches, in the order
 * of priority. It shares no code with src/l7/routes.
 */
import type { L7Route, NameValue } from '#anyhop/config/l7/types.js';
import type { RouteRequest } from '#anyhop/l7/routes/explain.js';

/** Index of the route; undefined: none. */
export function naiveRoute(routes: readonly L7Route[], request: RouteRequest): number | undefined {
  const host = hostOf(request.host ?? '');
  const path = (request.path ?? '').replace(/\?.*/s, '');
  const matching = routes.flatMap((route, index) => {
    const rank = rankOf(route.host, host);
    const holds = rank >= 0 && isUnder(route.path, path) && conditionsHold(route, request.headers);
    return holds ? [{ index, rank, chars: bare(route.path).length }] : [];
  });
  matching.sort((a, b) => b.rank - a.rank || b.chars - a.chars || a.index - b.index);
  return matching[0]?.index;
}

function hostOf(header: string): string {
  let host = header.replace(/:[^:\]]*$/, '').toLowerCase();
  while (host.endsWith('.')) host = host.slice(0, -1);
  return host;
}

/** How specific a host pattern is; below 0 when it does not match. */
function rankOf(pattern: string | undefined, host: string): number {
  if (pattern === undefined) return 0;
  if (!pattern.startsWith('*')) return pattern === host ? Number.POSITIVE_INFINITY : -1;
  const end = pattern.slice(1);
  const before = host.slice(0, -end.length);
  return host.endsWith(end) && /[^.]/.test(before) ? end.split('.').length : -1;
}

/** Without the slash at its end. */
function bare(path: string): string {
  return path.replace(/\/$/, '');
}

function isUnder(pattern: string, path: string): boolean {
  return path === bare(pattern) || path.startsWith(`${bare(pattern)}/`);
}

function conditionsHold({ headers, cookies }: L7Route, lines: readonly NameValue[]): boolean {
  const last = (name: string) =>
    lines
      .filter((line) => line.name.toLowerCase() === name)
      .at(-1)
      ?.value.replace(/^[ \t]+|[ \t]+$/g, '');
  return (
    headers.every(({ name, value }) => last(name) === value) &&
    cookies.every(({ name, value }) => cookieOf(name, lines) === value)
  );
}

/** For lines without quotes: what is in quotes is compared with HAProxy only. */
function cookieOf(wanted: string, lines: readonly NameValue[]): string | undefined {
  const text = lines
    .filter(({ name }) => name.toLowerCase() === 'cookie')
    .map(({ value }) => value)
    .join(';');
  const pairs = text.split(/[;,]/).flatMap((pair) => {
    const [, name, value] = /^[ \t]*([^=]*?)[ \t]*=[ \t]*(.*?)[ \t]*$/.exec(pair) ?? [];
    return name === wanted && value !== '' ? [value] : [];
  });
  return pairs.at(-1);
}
