/**
 * What the rules say of routes, against what requests do: a route is reported as unreachable when the request made for it alone
 * takes another one, and as a circle when a client that follows redirects gets to it again. An oracle that shares no code with the
 * program says which route a request takes.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { L7Route, NameValue } from '#anyhop/config/l7/types.js';
import { naiveRoute } from '../l7/routes-oracle.js';
import { problemsOf } from './fixture.js';
import { l7Text } from './l7-fixture.js';

const PORT = 8080; // of the service plain
const REDIRECTS_MAX = 20;

const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const conditions = (name: string): fc.Arbitrary<readonly NameValue[]> =>
  optional(fc.constantFrom('1', '2')).map((value) => (value === undefined ? [] : [{ name, value }]));

interface Target {
  readonly to?: string;
  readonly url?: string;
}

const upstream: fc.Arbitrary<Target> = fc.constant({ to: 'shop' });
const redirect: fc.Arbitrary<Target> = fc
  .constantFrom(
    `http://a.x:${PORT}`,
    `http://b.a.x:${PORT}`,
    `http://c.y:${PORT}`,
    `http://a.x:${PORT}/p`,
    `http://b.x:${PORT}/p/q`,
    'http://a.x', // another port
    `https://a.x:${PORT}`, // another scheme
  )
  .map((url) => ({ url }));

const routesTo = (target: fc.Arbitrary<Target>): fc.Arbitrary<L7Route[]> =>
  fc.array(
    fc
      .record({
        host: optional(fc.constantFrom('a.x', 'b.a.x', '*.x', '*.a.x')),
        path: fc.constantFrom('/', '/p', '/p/'),
        headers: conditions('x-h'),
        cookies: conditions('c'),
        target,
      })
      .map(({ target: { to, url }, ...route }) => ({
        ...route,
        to,
        redirect: url === undefined ? undefined : { url, isPrefix: !/:\d+\/|x\//.test(url), status: 308 },
      })),
    { minLength: 1, maxLength: 8 },
  );

const pairs = (list: readonly NameValue[]): string =>
  `{${list.map(({ name, value }) => `${name}: "${value}"`).join(', ')}}`;

function written({ host, path, headers, cookies, to, redirect: target }: L7Route): string {
  return `{${[
    ...(host === undefined ? [] : [`host: "${host}"`]),
    `path: ${path}`,
    ...(headers.length === 0 ? [] : [`header: ${pairs(headers)}`]),
    ...(cookies.length === 0 ? [] : [`cookie: ${pairs(cookies)}`]),
    target === undefined ? `to: ${to}` : `redirect: "${target.url}"`,
  ].join(', ')}}`;
}

/** Indexes of the routes with a problem of this kind. */
function reported(routes: readonly L7Route[], kind: RegExp): number[] {
  return problemsOf(l7Text({ routes: routes.map(written) }), 'l7')
    .filter(({ message }) => kind.test(message))
    .map(({ field }) => Number(/routes\[(\d+)\]/.exec(field)?.[1]));
}

/** Header lines of a request that meets the conditions of a route and no others. */
function linesFor({ headers, cookies }: L7Route): NameValue[] {
  return [...headers, ...cookies.map(({ name, value }) => ({ name: 'cookie', value: `${name}=${value}` }))];
}

/** A host that matches no more specific pattern. */
function ownHost({ host }: L7Route): string {
  return host === undefined ? 'other' : host.replace('*', 'other');
}

function leadsBack(routes: readonly L7Route[], start: number): boolean {
  const headers = linesFor(routes[start]);
  let { path } = routes[start];
  let at: number | undefined = start;
  for (let count = 0; count <= REDIRECTS_MAX; count++) {
    const target: L7Route['redirect'] = at === undefined ? undefined : routes[at].redirect;
    if (target === undefined) return false;
    const url = new URL(target.url);
    if (url.protocol !== 'http:' || url.port !== `${PORT}`) return false;
    if (!target.isPrefix) path = url.pathname;
    at = naiveRoute(routes, { host: url.host, path, headers });
    if (at === start) return true;
  }
  return false;
}

describe('routes that get no request', () => {
  it('are those whose own request takes another one, and no others', () => {
    let found = 0;
    fc.assert(
      fc.property(routesTo(upstream), (routes) => {
        const expected = routes.flatMap((route, index) => {
          const request = { host: ownHost(route), path: route.path, headers: linesFor(route) };
          return naiveRoute(routes, request) === index ? [] : [index];
        });
        assert.deepEqual(reported(routes, /^no request gets here/), expected);
        found += expected.length;
      }),
      { numRuns: 300 },
    );
    assert.ok(found > 9, `only ${found} were unreachable`);
  });
});

describe('redirects in a circle', () => {
  it('are those that lead a client to the same route again, and no others', () => {
    let found = 0;
    fc.assert(
      fc.property(routesTo(fc.oneof(upstream, redirect, redirect)), (routes) => {
        const expected = [...routes.keys()].filter((index) => leadsBack(routes, index));
        assert.deepEqual(reported(routes, /^redirects in a circle/), expected);
        found += expected.length;
      }),
      { numRuns: 500 },
    );
    assert.ok(found > 9, `only ${found} were circles`);
  });
});
