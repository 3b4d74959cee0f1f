/** What a daemon is told, from the rows and from its own words; without daemons. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { commandsOf, routeOf } from '#anyhop/announce/feed/exabgp.js';
import { feedGobgp, routesIn } from '#anyhop/announce/feed/gobgp.js';
import { changesOf, type Route, routesOf } from '#anyhop/announce/feed/watch.js';
import type { Row } from '#anyhop/announce/rows.js';
import { GOBGP_AT_ONCE, GOBGP_ROUND } from '#anyhop/core/limits.js';
import { parseAddress } from '#anyhop/packet/address.js';

const VIPS = ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'];

const rows: fc.Arbitrary<Row[]> = fc.array(
  fc.record({
    vip: fc.constantFrom(...VIPS).map((vip) => parseAddress(vip)!),
    metric: fc.constantFrom(99, 100, 199, 200, 201),
  }),
);

function apply(present: ReadonlyMap<string, Route>, wanted: ReadonlyMap<string, Route>): Map<string, Route> {
  const after = new Map(present);
  const { announce, withdraw } = changesOf(wanted, present);
  for (const { prefix } of withdraw) assert.ok(after.delete(prefix), prefix);
  for (const route of announce) {
    assert.notDeepEqual(after.get(route.prefix), route, 'is told for nothing');
    after.set(route.prefix, route);
  }
  return after;
}

describe('what a daemon is told of rows', () => {
  test('of two rows of a VIP the smaller metric counts, and a metric from the drain metric on is a drain', () => {
    fc.assert(
      fc.property(rows, (list) => {
        const routes = routesOf(list, 200);
        for (const { prefix, med, draining } of routes.values()) {
          const metrics = list
            .filter(({ vip }) => prefix.startsWith(`${vip.text}/`))
            .map(({ metric }) => metric);
          assert.equal(med, Math.min(...metrics));
          assert.equal(draining, med >= 200);
        }
        assert.equal(routes.size, new Set(list.map(({ vip }) => vip.text)).size);
      }),
    );
  });

  test('the changes turn what is there into what is wanted, and change nothing twice', () => {
    fc.assert(
      fc.property(rows, rows, (before, after) => {
        const [present, wanted] = [routesOf(before, 200), routesOf(after, 200)];
        assert.deepEqual(new Map([...apply(present, wanted)].sort()), new Map([...wanted].sort()));
        assert.deepEqual(changesOf(wanted, wanted), { announce: [], withdraw: [] });
      }),
    );
  });

  test('ExaBGP gets a line a route, and its list is read back to the same routes', () => {
    fc.assert(
      fc.property(rows, (list) => {
        const wanted = routesOf(list, 200);
        const lines = commandsOf('10.8.0.1', changesOf(wanted, new Map()))
          .split('\n')
          .filter((line) => line !== '');
        assert.equal(lines.length, wanted.size);
        for (const line of lines) {
          const [, prefix = '', rest = ''] =
            /^neighbor 10\.8\.0\.1 announce route (\S+) (next-hop self med .*)$/.exec(line)!;
          const family = prefix.includes(':') ? 'ipv6' : 'ipv4';
          const shown = `neighbor 10.8.0.1 local-ip 10.8.0.2 local-as 64513 peer-as 64512 router-id 10.8.0.2 family-allowed in-open ${family} unicast ${prefix} ${rest.replace(/[[\]]/g, '')}`;
          assert.deepEqual(routeOf(shown), { neighbor: '10.8.0.1', route: wanted.get(prefix) });
        }
      }),
    );
  });

  test('routes of others in ExaBGP are not taken for those of VIPs', () => {
    for (const rest of [
      'ipv4 unicast 203.0.113.0/24 next-hop self med 100', // no host route
      'ipv4 unicast 203.0.113.10/32 next-hop self', // no MED
      'ipv4 unicast 203.0.113.10/32 next-hop 10.8.0.9 med 100',
      'ipv4 unicast nonsense/32 next-hop self med 100',
      'ipv4 flow destination-ipv4 203.0.113.10/32',
    ])
      assert.equal(routeOf(`neighbor 10.8.0.1 local-ip 10.8.0.2 family-allowed in-open ${rest}`), undefined);
    for (const line of ['', 'done', 'error', '\u001b[31m', '{"exabgp": "4.0"}'])
      assert.equal(routeOf(line), undefined);
  });

  test('only host routes that gobgpd originates are read from its list', () => {
    const path = (nexthop: string, ...more: object[]) => [{ attrs: [{ type: 3, nexthop }, ...more] }];
    const text = JSON.stringify({
      '203.0.113.10/32': path('0.0.0.0', { type: 4, metric: 100 }),
      '203.0.113.11/32': path('10.8.0.1', { type: 4, metric: 100 }),
      '203.0.113.0/24': path('0.0.0.0', { type: 4, metric: 100 }),
      '2001:db8::10/128': path('::', { type: 4, metric: 200 }, { type: 8, communities: [1, 0xffff0000] }),
      '203.0.113.12/32': [{}],
    });
    assert.deepEqual(routesIn(text), [
      { prefix: '203.0.113.10/32', family: 4, med: 100, draining: false },
      { prefix: '2001:db8::10/128', family: 6, med: 200, draining: true },
    ]);
    assert.deepEqual(routesIn('Network not in table\n'), []);
    assert.throws(() => routesIn('rpc error'), { code: 'ERR_TOOL' });
  });
});

describe('feeding gobgpd', () => {
  test('a thousand VIPs take a look at the table between rounds, and a withdrawal comes first', async () => {
    const rib = new Map<string, number>();
    const wanted = new Map<string, Route>();
    const want = (i: number): void => {
      const prefix = `10.0.${i >> 8}.${i & 255}/32`;
      wanted.set(prefix, { prefix, family: 4, med: 100, draining: false });
    };
    for (let i = 0; i < 1_000; i++) want(i);
    const stop = new AbortController();
    let [atOnce, atOnceMax, commands] = [0, 0, 0];
    let removed: string | undefined;
    let removedAfter = 0;
    await feedGobgp(
      {
        socket: '/run/x',
        read: () => wanted,
        failed: (reason) => assert.equal(reason, undefined),
        async run(program, args) {
          assert.deepEqual([program, ...args.slice(0, 2)], ['gobgp', '--target', 'unix:///run/x']);
          atOnceMax = Math.max(atOnceMax, ++atOnce);
          await delay(0);
          atOnce--;
          if (args[2] === '-j') {
            const isIpv4 = args.at(-1) === 'ipv4';
            const table = [...rib].map(([key, metric]) => [
              key,
              [
                {
                  attrs: [
                    { type: 3, nexthop: '0.0.0.0' },
                    { type: 4, metric },
                  ],
                },
              ],
            ]);
            return { code: 0, stdout: JSON.stringify(isIpv4 ? Object.fromEntries(table) : {}), stderr: '' };
          }
          commands++;
          const [what, target] = args.slice(4) as [string, string];
          if (what === 'del') {
            assert.equal(target, removed);
            removedAfter = commands;
            assert.ok(rib.delete(target));
          } else rib.set(target, 100);
          if (commands === 10) {
            removed = target;
            wanted.delete(target);
          }
          if (rib.size === wanted.size && removedAfter > 0) stop.abort();
          return { code: 0, stdout: '', stderr: '' };
        },
      },
      stop.signal,
    );
    assert.equal(atOnceMax, GOBGP_AT_ONCE);
    assert.ok(removedAfter > 10 && removedAfter <= GOBGP_ROUND + 1, `${removedAfter}`);
    assert.deepEqual([...rib.keys()].sort(), [...wanted.keys()].sort());
  });
});
