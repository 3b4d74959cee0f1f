/** Which route a request takes: against a naive search through the routes, and in cases that people write. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { L7Route } from '#anyhop/config/l7/types.js';
import { actionOf } from '#anyhop/l7/routes/action.js';
import type { RouteLimitError } from '#anyhop/l7/routes/budget.js';
import { type CompiledRoutes, compileRoutes } from '#anyhop/l7/routes/compile.js';
import { explainRoute, type RouteRequest } from '#anyhop/l7/routes/explain.js';
import { mapFiles } from '#anyhop/l7/routes/maps.js';
import { routeRules } from '#anyhop/l7/routes/rules.js';
import { header, request, requests, route, routes } from './routes-fixture.js';
import { naiveRoute } from './routes-oracle.js';

function taken(list: readonly L7Route[], wanted: RouteRequest): number | undefined {
  return explainRoute(compileRoutes(list), wanted).route;
}

/** The oracle reads cookies without quotes and without empty values. */
function isPlain({ headers }: RouteRequest): boolean {
  return headers.every(({ name, value }) => name !== 'Cookie' || !/"|=[ \t]*(?:[;,]|$)/.test(value));
}

describe('the route of a request', () => {
  it('is the one that a search through all routes finds', () => {
    let found = 0;
    fc.assert(
      fc.property(
        routes,
        fc.array(requests.filter(isPlain), { minLength: 20, maxLength: 20 }),
        (list, many) => {
          const compiled = compileRoutes(list);
          for (const wanted of many) {
            const explained = explainRoute(compiled, wanted);
            const expected = naiveRoute(list, wanted);
            assert.equal(explained.route, expected, JSON.stringify(wanted));
            assert.equal(explained.action, expected === undefined ? undefined : actionOf(list[expected]));
            if (expected !== undefined) found++;
          }
        },
      ),
      { numRuns: 500 },
    );
    assert.ok(found > 1000, `${found} of 10000 requests have a route`);
  });

  it('is that of the exact host before a wildcard, of more labels before fewer, of any host at last', () => {
    const list = [
      route(),
      route({ host: '*.example.com' }),
      route({ host: '*.b.example.com' }),
      route({ host: 'a.b.example.com' }),
    ];
    const expected = {
      'a.b.example.com': 3,
      'c.b.example.com': 2,
      'd.c.b.example.com': 2,
      'b.example.com': 1,
    };
    for (const [host, index] of Object.entries(expected))
      assert.equal(taken(list, request(host)), index, host);
    const hosts = ['[2001:DB8::1]', '[2001:DB8::1]:443'].map(
      (host) => explainRoute(compileRoutes(list), request(host)).host,
    );
    assert.deepEqual(hosts, ['[2001:db8::1]', '[2001:db8::1]']);
    for (const host of ['example.com', 'aexample.com', 'example.org', '', '[::1]:80', undefined])
      assert.equal(taken(list, request(host)), 0, host);
  });

  it('is that of the longest path, by whole segments and byte by byte', () => {
    const list = [route({ path: '/v1' }), route({ path: '/v1/x/' }), route({ path: '/%61' })];
    const expected: Record<string, number | undefined> = {
      '/v1': 0,
      '/v1/': 0,
      '/v1?x=1': 0,
      '/v1/x': 1,
      '/v1/x/y': 1,
      '/v1/xy': 0,
      '/v1//x': 0,
      '/v1x': undefined,
      '/V1': undefined,
      '//v1': undefined,
      '/': undefined,
      '/%61': 2,
      '/a': undefined,
    };
    for (const [path, index] of Object.entries(expected))
      assert.equal(taken(list, request('a.example', path)), index, path);
    assert.equal(taken([route()], { host: undefined, path: undefined, headers: [] }), 0);
  });

  it('is the next in the order of priority when a condition does not hold: same path, shorter path, other hosts', () => {
    const list = [
      route({ host: 'a.example.com', path: '/v1', headers: header('x-beta', '1') }),
      route({ host: 'a.example.com', path: '/v1', cookies: header('group', 'b') }),
      route({ host: 'a.example.com', headers: [...header('x-beta', '1'), ...header('x-eu', 'yes')] }),
      route({ host: '*.example.com', path: '/v1/x' }),
      route({ path: '/v1' }),
    ];
    const ask = (path: string, ...lines: [string, string][]) =>
      taken(
        list,
        request(
          'a.example.com',
          path,
          lines.map(([name, value]) => ({ name, value })),
        ),
      );
    assert.equal(ask('/v1', ['X-Beta', '1'], ['cookie', 'group=b']), 0);
    assert.equal(ask('/v1', ['cookie', 'a=1; group=b']), 1);
    assert.equal(ask('/', ['x-beta', '1'], ['x-eu', 'yes']), 2);
    assert.equal(ask('/v1/x/y'), 3);
    assert.equal(ask('/v1/y', ['x-beta', '2']), 4);
    assert.equal(ask('/', ['x-beta', '1']), undefined);
  });

  it('depends on the whole value of the last line of a header, and of the last cookie of a name', () => {
    const list = [route({ headers: header('x-a', '1') }), route({ cookies: header('g', '1') }), route()];
    const ask = (...lines: [string, string][]) =>
      taken(
        list,
        request(
          '',
          '/',
          lines.map(([name, value]) => ({ name, value })),
        ),
      );
    assert.equal(ask(['x-a', '\t1 ']), 0);
    assert.equal(ask(['x-a', '2'], ['X-A', '1']), 0);
    assert.equal(ask(['x-a', '1'], ['x-a', '2']), 2);
    assert.equal(ask(['x-a', '1,1']), 2);
    assert.equal(ask(['Cookie', 'g=2; g=1']), 1);
    assert.equal(ask(['Cookie', 'g=1'], ['Cookie', 'g=2']), 2);
    assert.equal(ask(['Cookie', 'G=1']), 2);
  });

  it('is explained by the entry that matches and by the conditions of the routes before it', () => {
    const list = [
      route({ host: '*.example.com', path: '/v1', headers: [...header('x-a', '1'), ...header('x-b', '2')] }),
      route({ host: '*.example.com', cookies: header('g', 'b'), to: 'beta' }),
      route({ path: '/v1', redirect: { url: 'https://example.org', isPrefix: true, status: 307 } }),
    ];
    const lines = [...header('X-B', '2'), ...header('X-A', '3')];
    assert.deepEqual(explainRoute(compileRoutes(list), request('A.Example.com.:80', '/v1/x?y', lines)), {
      host: 'a.example.com',
      group: '*.example.com',
      key: '*.example.com/v1/',
      passedOver: [
        { route: 0, unmet: [{ source: 'header:x-a', value: '1', found: '3' }] },
        { route: 1, unmet: [{ source: 'cookie:g', value: 'b', found: undefined }] },
      ],
      route: 2,
      action: 'rp307:https://example.org',
    });
    const none = explainRoute(compileRoutes(list.slice(0, 1)), request('example.com', '/v1'));
    assert.deepEqual(
      [none.group, none.key, none.route, none.action],
      [undefined, undefined, undefined, undefined],
    );
  });
});

describe('the tables of routes', () => {
  it('do not depend on the order of routes, except where it decides', () => {
    fc.assert(
      fc.property(routes, fc.infiniteStream(fc.nat()), (list, random) => {
        // Only routes with the same host and path keep their order.
        const placeOf = ({ host, path }: L7Route) => `${host} ${path.replace(/\/$/, '')}`;
        const shuffled = list
          .map((item) => ({ item, rank: random.next().value as number }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ item }) => item);
        const queues = new Map(
          list.map((item) => [placeOf(item), list.filter((other) => placeOf(other) === placeOf(item))]),
        );
        const reordered = shuffled.map((item) => queues.get(placeOf(item))!.shift()!);
        const [first, second] = [list, reordered].map(compileRoutes);
        assert.deepEqual(mapFiles(second), mapFiles(first));
        const words = (compiled: CompiledRoutes) => routeRules(compiled, '/maps').map(({ words }) => words);
        assert.deepEqual(words(second), words(first));
      }),
      { numRuns: 300 },
    );
  });

  it('have no entry that decides like a shorter one, and none for what cannot be reached', () => {
    const hosts = Array.from({ length: 100 }, (_, i) => route({ host: `h${i}.example.com` }));
    const paths = Array.from({ length: 100 }, (_, i) => route({ path: `/p${i}` }));
    assert.equal(compileRoutes([...hosts, ...paths]).entries.size, 200);
    const list = [
      route({ path: '/a' }),
      route({ path: '/a' }),
      route({ host: 'h', path: '/' }),
      route({ host: 'h' }),
    ];
    assert.deepEqual(compileRoutes(list).unreachable, [1, 3]);
  });

  it('are one entry for each value that conditions ask for, however many routes share them', () => {
    const tenants = Array.from({ length: 1000 }, (_, i) =>
      route({ headers: header('x-tenant', `t${i}`), to: `u${i}` }),
    );
    const canaries = Array.from({ length: 1000 }, (_, i) => [
      route({ host: `h${i}`, cookies: header('group', 'b'), to: `b${i}` }),
      route({ host: `h${i}`, to: `a${i}` }),
    ]).flat();
    const beta = route({ cookies: header('group', 'b'), to: 'beta' });
    const compiled = compileRoutes([beta, ...tenants, ...canaries, route()]);
    const lines = mapFiles(compiled).get('conditions.map')!.trimEnd().split('\n');
    assert.equal(lines.length, 1 + 1000 + 1 + 2 * 1000);
    // As many rules as for four routes: one for each name.
    assert.equal(
      routeRules(compiled, '/maps').length,
      routeRules(compileRoutes([tenants[0], ...canaries.slice(0, 2), route()]), '/maps').length,
    );
  });

  it('are refused when routes multiply, with the routes that do', () => {
    const hosts = Array.from({ length: 1000 }, (_, i) => route({ host: `h${i}.example.com`, path: '/a' }));
    const paths = Array.from({ length: 1000 }, (_, i) => route({ path: `/p${i}` }));
    assert.throws(
      () => compileRoutes([...paths, ...hosts]),
      (error: RouteLimitError) => {
        assert.match(
          error.message,
          /more than 200000 map entries: the 1000 paths of routes for any host are repeated for 1000 other hosts, "h0.example.com" among them/,
        );
        assert.equal(error.code, 'ERR_LIMIT');
        assert.equal(error.routes[0], 1000);
        return true;
      },
    );
    const mixed = Array.from({ length: 1000 }, (_, i) =>
      route({ headers: header(`x-${i % 3}`, `${i}`), to: `u${i}` }),
    );
    assert.throws(() => compileRoutes(mixed), /1000 routes with conditions on headers or cookies combine/);
    const names = Array.from({ length: 65 }, (_, i) => route({ headers: header(`x-${i}`, '1') }));
    assert.throws(() => compileRoutes(names), /ask for 65 different headers and cookies; the limit is 64/);
    assert.equal(compileRoutes(names.slice(1)).sources.size, 64);
  });

  it('hold nothing that a map file could read as something else', () => {
    for (const bad of [
      route({ host: 'a b' }),
      route({ host: '#a' }),
      route({ path: '/a\nb' }),
      route({ to: 'a b' }),
      route({ host: 'é' }),
    ])
      assert.throws(() => mapFiles(compileRoutes([bad])), /not fit for a map file/);
    assert.throws(() => routeRules(compileRoutes([route()]), '/maps),lower'), RangeError);
    assert.throws(
      () => routeRules(compileRoutes([route({ headers: header('a)', '1') })]), '/maps'),
      RangeError,
    );
  });
});
