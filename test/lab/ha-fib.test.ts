/** What the lab reads of a router: rows of its table by `ip monitor`, sessions of BIRD. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../scripts/lab/command.js';
import { establishedOf } from '../../scripts/lab/ha/bird.js';
import { FibParser, FibWatch } from '../../scripts/lab/ha/fib.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { Resources } from '../../scripts/lab/resources.js';

function rowsOf(text: string): [destination: string, hops: string][] {
  const parser = new FibParser();
  for (const line of text.split('\n')) parser.take(line);
  return parser.rows.map(({ destination, hops }) => [destination, hops.join(' ')]);
}

test('a row with several next hops is one row, whatever comes between rows', () => {
  assert.deepEqual(
    rowsOf(`[2026-11-29T22:29:52.180967] [ROUTE]203.0.113.10 via 10.0.1.1 dev edge-1 proto bird metric 32 
[2026-11-29T22:29:53.185666] [ROUTE]203.0.113.10 proto bird metric 32 
	nexthop via 10.0.2.1 dev edge-2 weight 1 
	nexthop via 10.0.1.1 dev edge-1 weight 1 
[2026-11-29T22:29:53.186830] [ROUTE]2001:db8:100::10 proto bird metric 32 pref medium
	nexthop via fd00:0:1::1 dev edge-1 weight 1 
some other line
	nexthop via fd00:0:2::1 dev edge-2 weight 1 
[2026-11-29T22:29:54.000001] [ROUTE]Deleted 203.0.113.10 proto bird metric 32 
	nexthop via 10.0.1.1 dev edge-1 weight 1 
[2026-11-29T22:29:54.000001] [ROUTE]local 10.0.9.254 dev v0 table local proto kernel scope host src 10.0.9.254 
[2026-11-29T22:29:55.000001] [ROUTE]Deleted unreachable 198.51.100.255 table 250`),
    [
      ['203.0.113.10', '10.0.1.1'],
      ['203.0.113.10', '10.0.1.1 10.0.2.1'],
      ['2001:db8:100::10', 'fd00:0:1::1 fd00:0:2::1'],
      ['203.0.113.10', ''],
      ['10.0.9.254', ''],
      ['198.51.100.255', ''],
    ],
  );
});

test('a neighbour is a row whose next hop is its MAC address', () => {
  assert.deepEqual(
    rowsOf(`[2026-11-29T22:31:29.200861] [NEIGH]10.0.9.1 dev pair lladdr 02:00:00:00:00:01 REACHABLE 
[2026-11-29T22:31:29.203620] [NEIGH]10.0.9.1 dev pair lladdr 02:00:00:00:00:02 STALE 
[2026-11-29T22:31:29.205725] [NEIGH]10.0.9.1 dev pair FAILED 
[2026-11-29T22:31:29.205740] [NEIGH]Deleted 10.0.9.1 dev pair lladdr 02:00:00:00:00:02 FAILED `),
    [
      ['10.0.9.1', '02:00:00:00:00:01'],
      ['10.0.9.1', '02:00:00:00:00:02'],
      ['10.0.9.1', ''],
      ['10.0.9.1', ''],
    ],
  );
});

test('the time of a row has its microseconds, by the local time', () => {
  const parser = new FibParser();
  parser.take('[2026-11-29T22:29:52.180967] [ROUTE]203.0.113.10 via 10.0.1.1 dev edge-1');
  assert.equal(
    parser.rows[0]!.atMs.toFixed(3),
    (new Date(2026, 10, 29, 22, 29, 52).getTime() + 180.967).toFixed(3),
  );
});

test('sessions of BGP that are established are counted, and nothing else', () => {
  assert.equal(
    establishedOf(`Name       Proto      Table      State  Since         Info
bfd1       BFD        ---        up     22:29:06.460  
edge_1_4   BGP        ---        up     22:29:46.649  Established   
edge_1_6   BGP        ---        start  22:29:06.460  Active        Socket: Connection refused
edge_2_4   BGP        ---        up     22:29:46.669  Established   `),
    2,
  );
});

test('a watch on a router tells of each change of its table from its start on', {
  skip: missingForLab()?.message ?? false,
  timeout: 60_000,
}, async () => {
  const resources = new Resources();
  try {
    const router = resources.addNamespace('router');
    const ip = (...words: string[]): Promise<string> => run(['ip', '-n', router, ...words]);
    await ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    await ip('addr', 'add', '10.0.9.254/24', 'dev', 'v0');
    for (const link of ['v1', 'v0']) await ip('link', 'set', link, 'up');
    const watch = await FibWatch.start(resources, router);
    const destination = '203.0.113.10';
    const isNow = (hops: string): Promise<void> =>
      watch.until(`by ${hops || 'nothing'}`, () => watch.hops(destination).join() === hops, 10_000);
    const beforeMs = Date.now();
    await ip('route', 'add', destination, 'via', '10.0.9.1');
    await isNow('10.0.9.1');
    await ip('route', 'replace', destination, 'via', '10.0.9.2');
    await isNow('10.0.9.2');
    await ip('route', 'del', destination);
    await isNow('');
    const own = watch.rows.filter((row) => row.destination === destination);
    assert.deepEqual(
      own.map(({ hops }) => hops.join()),
      ['10.0.9.1', '10.0.9.2', ''],
    );
    // Date.now has no microseconds: it may be up to a millisecond behind.
    const afterMs = Date.now() + 1;
    for (const { atMs } of own)
      assert.ok(atMs >= beforeMs && atMs <= afterMs, `${atMs} is not between ${beforeMs} and ${afterMs}`);
  } finally {
    await resources.close();
  }
});
