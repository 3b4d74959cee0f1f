/** What routers say about paths: what is believed, for how long, and what a forged report can do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Logger } from '#anyhop/core/log.js';
import { parseAddress } from '#anyhop/packet/address.js';
import type { TooBig } from '#anyhop/packet/too-big.js';
import { PATH_MTU_LIFETIME_MS, PathMtus } from '#anyhop/underlay/path-mtus.js';

const ROUTE = 1600;
const LEAST = 1304;
const KNOWN = ['10.1.0.11', '10.1.0.12'];

interface Line {
  readonly event: string;
  readonly message: string;
}

function paths(least = LEAST) {
  const changes: string[][] = [];
  const lines: Line[] = [];
  const log = ({ event }: { event: string }, message: string): unknown => lines.push({ event, message });
  const clock = { ms: 1_800_000_000_000 };
  const known = new Set(KNOWN);
  const mtus = new PathMtus({
    log: { info: log, warn: log } as unknown as Logger,
    now: () => clock.ms,
    routeMtu: (address) => (known.has(address) ? ROUTE : undefined),
    leastMtu: () => least,
    names: (address) => (address === KNOWN[0] ? ['web/web-1'] : []),
    meaning: 'clients are told what fits',
    changed: (addresses) => changes.push([...addresses]),
  });
  return { mtus, changes, lines, clock, known };
}

const report = (mtu: number, backend = KNOWN[0], length = 1500): TooBig => ({
  router: parseAddress('10.9.9.9')!,
  backend: parseAddress(backend)!,
  length,
  mtu,
});

describe('a path MTU', () => {
  it('is what a router says, for its far end alone, and is told once', () => {
    const { mtus, changes, lines } = paths();
    mtus.take([report(1400), report(1400)]);
    mtus.take([report(1400)]);
    assert.deepEqual([mtus.mtuOf(KNOWN[0], ROUTE), mtus.mtuOf(KNOWN[1], ROUTE)], [1400, ROUTE]);
    assert.deepEqual(changes, [[KNOWN[0]]]);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0].message,
      /path to web\/web-1 \(10\.1\.0\.11\) takes packets of 1400 bytes .* router 10\.9\.9\.9/,
    );
  });

  it('only falls by reports, and never exceeds the route', () => {
    const { mtus } = paths();
    mtus.take([report(1400)]);
    mtus.take([report(1450)]);
    assert.equal(mtus.mtuOf(KNOWN[0], ROUTE), 1400);
    mtus.take([report(1350)]);
    assert.equal(mtus.mtuOf(KNOWN[0], ROUTE), 1350);
    assert.equal(mtus.mtuOf(KNOWN[0], 1320), 1320);
  });

  it('is forgotten after ten minutes without a report, and with its path', () => {
    const { mtus, changes, clock } = paths();
    mtus.take([report(1400)]);
    clock.ms += PATH_MTU_LIFETIME_MS - 1;
    mtus.take([report(1400)]);
    clock.ms += PATH_MTU_LIFETIME_MS - 1;
    mtus.expire();
    assert.equal(mtus.mtuOf(KNOWN[0], ROUTE), 1400);
    clock.ms += 1;
    mtus.expire();
    assert.equal(mtus.mtuOf(KNOWN[0], ROUTE), ROUTE);
    assert.deepEqual(changes, [[KNOWN[0]], [KNOWN[0]]]);
    mtus.take([report(1400)]);
    mtus.forget([KNOWN[0]]);
    assert.equal(mtus.mtuOf(KNOWN[0], ROUTE), ROUTE);
  });

  it('is never less than the least that is believed: a lie is counted and named, and takes no backend away', () => {
    const { mtus, lines } = paths();
    for (const mtu of [1303, 1280, 552, 68, 1]) mtus.take([report(mtu)]);
    assert.equal(mtus.mtuOf(KNOWN[0], ROUTE), LEAST);
    assert.equal(mtus.counts.raised, 5);
    assert.deepEqual(
      lines.map(({ event }) => event),
      ['path_mtu_raised', 'path_mtu'],
    );
    // A route that takes less itself is the operator's word.
    assert.equal(mtus.mtuOf(KNOWN[0], 1200), 1200);
  });

  it('is not learned from reports that cannot be true, which are counted', () => {
    const { mtus, changes } = paths();
    mtus.take([report(1400, '10.1.0.99'), report(1500), report(1501), report(1400, KNOWN[0], ROUTE + 1)]);
    assert.equal(mtus.counts.unrelated, 4);
    mtus.take([report(0)]);
    assert.equal(mtus.counts.withoutSize, 1);
    mtus.take([], 7);
    assert.equal(mtus.counts.lost, 7);
    assert.deepEqual(changes, []);
  });

  it('stays between the least and the route, with as many entries as far ends, whatever is reported', () => {
    const { mtus } = paths();
    const any = fc.record({
      mtu: fc.nat(70_000),
      length: fc.nat(70_000),
      last: fc.integer({ min: 1, max: 254 }),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 50 }), (reports) => {
        mtus.take(reports.map(({ mtu, length, last }) => report(mtu, `10.1.0.${last}`, length)));
        for (let last = 1; last < 255; last++) {
          const mtu = mtus.mtuOf(`10.1.0.${last}`, ROUTE);
          assert.ok(mtu >= LEAST && mtu <= ROUTE);
          assert.equal(mtus.learned(`10.1.0.${last}`) !== undefined, mtu < ROUTE);
        }
      }),
    );
  });

  it('puts no more than a line a minute and far end into the log, however often it is reported', () => {
    const { mtus, lines, clock } = paths();
    for (let mtu = 1590; mtu > 1000; mtu -= 1) {
      mtus.take([report(mtu)]);
      clock.ms += 100;
    }
    assert.ok(lines.length <= 4, `${lines.length} lines in a minute`);
  });
});
