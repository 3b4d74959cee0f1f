/** What a real HAProxy does with the maps and rules, against what `explainRoute` says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { L7Route, NameValue } from '#anyhop/config/l7/types.js';
import { nodeOf } from '#anyhop/l7/routes/action.js';
import { type CompiledRoutes, compileRoutes } from '#anyhop/l7/routes/compile.js';
import { explainRoute, type RouteRequest } from '#anyhop/l7/routes/explain.js';
import { withoutHaproxy } from './haproxy-fixture.js';
import { header, request, requests, route, routes } from './routes-fixture.js';
import { type Answer, ask, askHttp2, RoutingHaproxy, requestBytes } from './routes-haproxy.js';

const LISTS = 100;
const REQUESTS_PER_LIST = 200;
const seed = Number(process.env['ANYHOP_SEED'] ?? Date.now() % 2 ** 31);

/** The answer that follows from an explanation. */
function expected(compiled: CompiledRoutes, wanted: RouteRequest): Answer {
  const { route: index, action } = explainRoute(compiled, wanted);
  if (index === undefined) return { status: 404, action: undefined, location: undefined };
  const { redirect } = compiled.routes[index];
  if (redirect === undefined) return { status: 200, action, location: undefined };
  const location = redirect.isPrefix ? `${redirect.url}${wanted.path ?? '/'}` : redirect.url;
  return { status: redirect.status, action: undefined, location };
}

async function withHaproxy(
  lists: readonly CompiledRoutes[],
  use: (haproxy: RoutingHaproxy) => Promise<void>,
): Promise<void> {
  const haproxy = new RoutingHaproxy(lists);
  try {
    await haproxy.ready();
    await use(haproxy);
  } finally {
    await haproxy.close();
  }
}

/** Counts answers by status, and as `conditions` those that a node decided. */
class Seen {
  readonly counts: Record<string, number> = {};

  add(compiled: CompiledRoutes, wanted: RouteRequest, answer: Answer): void {
    const should = expected(compiled, wanted);
    if (!isDeepStrictEqual(answer, should))
      assert.deepEqual(
        answer,
        should,
        `ANYHOP_SEED=${seed} ${JSON.stringify({ request: wanted, routes: compiled.routes }, null, 1)}`,
      );
    const { key } = explainRoute(compiled, wanted);
    const isNode = key !== undefined && nodeOf(compiled.entries.get(key)!.action) !== undefined;
    for (const what of [answer.status, ...(isNode ? ['conditions'] : [])])
      this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  hasAtLeast(least: Readonly<Record<string, number>>): void {
    for (const [what, count] of Object.entries(least))
      assert.ok((this.counts[what] ?? 0) >= count, `${what}: ${JSON.stringify(this.counts)}`);
  }
}

describe('HAProxy', { skip: withoutHaproxy }, () => {
  it('takes the route that is explained, for generated routes and requests', async () => {
    const lists = fc.sample(routes, { numRuns: LISTS, seed }).map(compileRoutes);
    const wanted = fc.sample(requests, { numRuns: LISTS * REQUESTS_PER_LIST, seed });
    const seen = new Seen();
    await withHaproxy(lists, async (haproxy) => {
      for (const [i, compiled] of lists.entries()) {
        const asked = wanted.slice(i * REQUESTS_PER_LIST, (i + 1) * REQUESTS_PER_LIST);
        const answers = await ask(haproxy.address, haproxy.port(i), asked.map(requestBytes));
        for (const [j, answer] of answers.entries()) seen.add(compiled, asked[j], answer);
      }
    });
    seen.hasAtLeast({ 200: 2000, 308: 20, 301: 20, 404: 2000, conditions: 1000 });
  });

  it('takes the same route over HTTP/2', async () => {
    const lists = fc.sample(routes, { numRuns: 10, seed }).map(compileRoutes);
    const wanted = fc
      .sample(requests, { numRuns: 2000, seed })
      .filter(({ host, path }) => host !== undefined && /^[A-Za-z0-9.:-]+$/.test(host) && path !== undefined)
      // HAProxy joins the lines of cookies, as RFC 9113 (section 8.2.3) says.
      .map(({ headers, ...rest }) => ({ ...rest, headers: withOneCookieLine(headers) }));
    const seen = new Seen();
    await withHaproxy(lists, async (haproxy) => {
      for (const [i, compiled] of lists.entries()) {
        const asked = wanted.filter((_, j) => j % lists.length === i);
        const answers = await askHttp2(haproxy.address, haproxy.http2Port(i), asked);
        for (const [j, answer] of answers.entries()) seen.add(compiled, asked[j], answer);
      }
    });
    seen.hasAtLeast({ 200: 100, 404: 100, conditions: 50 });
  });

  it('answers 400 by itself to requests that two servers could read differently', async () => {
    const compiled = compileRoutes([route()]);
    const refused = [
      'GET /a#b HTTP/1.1\r\nHost: a.example',
      'GET /\xe9 HTTP/1.1\r\nHost: a.example',
      'GET /a\tb HTTP/1.1\r\nHost: a.example',
      'GET a HTTP/1.1\r\nHost: a.example',
      'GET http://b.example/ HTTP/1.1\r\nHost: a.example',
      'GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example',
      'GET / HTTP/1.1\r\nHost : a.example',
    ];
    await withHaproxy([compiled], async (haproxy) => {
      const send = (text: string) =>
        ask(haproxy.address, haproxy.port(0), [Buffer.from(`${text}\r\n\r\n`, 'latin1')]);
      for (const text of refused) assert.equal((await send(text))[0].status, 400, text);
      // The same host twice, or in the target too, is one host.
      for (const text of [
        'GET / HTTP/1.1\r\nHost: a.example\r\nHost: a.example',
        'GET http://a.example/x HTTP/1.1\r\nHost: a.example',
      ])
        assert.deepEqual((await send(text))[0], expected(compiled, request('a.example')), text);
    });
  });

  it('spends about as much on a request with 1000 routes as with one, whatever they have in common', async (test) => {
    const many = <T>(make: (i: number) => T): T[] => Array.from({ length: 1000 }, (_, i) => make(i));
    const one = [
      route({ host: 'h500.example.com' }),
      route({ headers: header('x-tenant', 't500'), to: 'tenant' }),
      route({ path: '/p500' }),
    ];
    const kinds: [string, L7Route[], L7Route[]][] = [
      ['hosts', [one[0]], many((i) => route({ host: `h${i}.example.com` }))],
      ['wildcards', [route({ host: '*.example.com' })], many((i) => route({ host: `*.h${i}.example.com` }))],
      ['headers', [one[1]], many((i) => route({ headers: header('x-tenant', `t${i}`), to: 'tenant' }))],
      ['paths', [one[2]], many((i) => route({ path: `/p${i}` }))],
    ];
    const lists = kinds.flatMap(([, few, all]) => [compileRoutes(few), compileRoutes(all)]);
    const bytes = requestBytes(request('a.h500.example.com', '/p500/x', header('x-tenant', 't500')));
    const exact = requestBytes(request('h500.example.com', '/p500/x', header('x-tenant', 't500')));
    await withHaproxy(lists, async (haproxy) => {
      const costs = lists.map((): number[] => []);
      for (let turn = 0; turn < 5; turn++)
        for (const [i] of lists.entries()) {
          const before = cpuNs(haproxy.pid);
          const sent = Array.from({ length: 2000 }, () => (i < 2 ? exact : bytes));
          const answers = await ask(haproxy.address, haproxy.port(i), sent);
          costs[i].push((cpuNs(haproxy.pid) - before) / sent.length);
          assert.ok(answers.every(({ status }) => status === 200));
        }
      for (const [i, [kind]] of kinds.entries()) {
        const [few, all] = [Math.min(...costs[2 * i]), Math.min(...costs[2 * i + 1])];
        test.diagnostic(`${kind}: ${(few / 1000).toFixed(2)} and ${(all / 1000).toFixed(2)} µs of CPU`);
        // One rule for each route would cost ten times as much; a busy machine makes single figures vary.
        assert.ok(all < 1.6 * few, `${kind}: ${few} ns and ${all} ns`);
      }
    });
  });
});

function withOneCookieLine(headers: readonly NameValue[]): NameValue[] {
  const isCookie = ({ name }: NameValue) => name === 'Cookie';
  const line = headers
    .filter(isCookie)
    .map(({ value }) => value)
    .join('; ');
  return [...headers.filter((item) => !isCookie(item)), ...(line === '' ? [] : header('Cookie', line))];
}

/** Time that a process has spent on a CPU. */
function cpuNs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);
}
