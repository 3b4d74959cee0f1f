/** Rates of nodes that tell only counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NodeStatus } from '#anyhop/api/status.js';
import { fleetView } from '#anyhop/view/fleet.js';
import { perSecond, rated } from '#anyhop/view/rates.js';
import { nodeStatus } from '../node/node-status.js';
import { NOW } from './seen.js';

/** As a process leaves them that was killed. */
function countsOnly(packets: number): NodeStatus {
  const status = nodeStatus();
  const bare = { packets, bytes: packets * 100 };
  const strip = (one: object): object => ({
    ...one,
    ...bare,
    packetsPerSecond: undefined,
    bytesPerSecond: undefined,
  });
  return {
    ...status,
    services: status.services.map(strip),
    pools: status.pools.map((pool) => ({ ...pool, backends: pool.backends.map(strip) })),
    verdicts: { forwarded: { packets } },
  } as unknown as NodeStatus;
}

test('two answers give the rates that a node does not tell', () => {
  const node = {
    label: 'edge-1',
    before: { at: NOW - 2000, status: countsOnly(100) },
    answer: { at: NOW, status: countsOnly(700) },
  };
  const view = fleetView([node], NOW);
  assert.equal(view.services[0].packetsPerSecond, 300);
  assert.equal(view.backends[0].bytesPerSecond, 30_000);
  assert.equal(view.summary.packetsPerSecond.forward, 300);
});

test('one answer alone has rates of 0, and rates that a node tells stay as they are', () => {
  assert.equal(rated({ at: NOW, status: countsOnly(700) }).services[0].packetsPerSecond, 0);
  const told = nodeStatus();
  assert.equal(rated({ at: NOW, status: told }, { at: NOW - 1000, status: countsOnly(1) }), told);
});

test('packets that an engine misses or cannot send are the worst trouble while their counters rise', () => {
  const counters = (missed: number, sendFailed: number | null): NodeStatus =>
    nodeStatus({
      engine: { ...nodeStatus().engine, counters: { received: 0, sent: 0, missed, sendFailed } },
    });
  const texts = (then: NodeStatus | undefined, now: NodeStatus): string[] =>
    fleetView(
      [
        {
          label: 'edge-1',
          answer: { at: NOW, status: now },
          ...(then && { before: { at: NOW - 1000, status: then } }),
        },
      ],
      NOW,
    ).troubles.map(({ level, text }) => `${level} ${text}`);
  assert.deepEqual(texts(counters(5, 3), counters(105, 13)), [
    'bad edge-1 does not get to see 100 packets/s: its receive ring is full',
    'bad edge-1 fails to send 10 packets/s',
  ]);
  assert.deepEqual(texts(counters(105, null), counters(105, 7)), []);
  assert.deepEqual(texts(undefined, counters(105, 7)), [], 'of one answer nothing is known');
});

test('law: a rate is never negative and always a number, whatever the clock and the counters do', () => {
  const count = fc.nat();
  fc.assert(
    fc.property(count, fc.option(count, { nil: undefined }), fc.double(), (now, then, seconds) => {
      const rate = perSecond(now, then, seconds);
      assert.ok(rate >= 0 && !Number.isNaN(rate));
    }),
  );
  assert.equal(perSecond(10, 4, 2), 3);
  assert.equal(perSecond(10, 400, 2), 5, 'a counter that began again counts from 0');
});
