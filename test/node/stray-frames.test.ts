/** Frames for others that carry packets for VIPs: named in the log once, however many come, and not those of a process before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { L } from '#anyhop/core/layout.gen.js';
import type { Logger } from '#anyhop/core/log.js';
import type { Engine } from '#anyhop/engine/contract.js';
import { Counters } from '#anyhop/forward/counters.js';
import { watchStrayFrames } from '#anyhop/node/stray-frames.js';
import { NODE_MAC } from '../packets/build.js';
import { macBytes } from '../packets/layer.js';

test('packets for VIPs in frames for others are named once a minute at most, with what came since the start', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const counters = new Counters();
  counters.verdicts[L.V_PASS_OTHER_HOST] = 7; // of a process before this one
  const engine = { counters: () => counters, engineCounters: async () => ({}) } as unknown as Engine;
  const told: Record<string, unknown>[] = [];
  const log = { warn: (fields: Record<string, unknown>) => told.push(fields) } as unknown as Logger;
  watchStrayFrames(engine, () => [macBytes(NODE_MAC)], log);
  const look = async (): Promise<void> => {
    t.mock.timers.tick(2_000);
    await turn();
  };

  await look();
  assert.deepEqual(told, [], 'nothing has come');
  counters.verdicts[L.V_PASS_OTHER_HOST] += 3;
  counters.verdicts[L.V_DROP_GROUP_MAC] += 2;
  await look();
  assert.deepEqual(told, [{ event: 'stray_frames', others: 3, group: 2, macs: [NODE_MAC] }]);
  counters.verdicts[L.V_PASS_OTHER_HOST] += 1000;
  await look();
  await look();
  assert.equal(told.length, 1, 'and not again for a while');
});

test('counters that cannot be read are named with the reason', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let isGone = false;
  const engine = {
    engineCounters: async () => ({}),
    counters() {
      if (isGone) throw new Error('the map is gone');
      return new Counters();
    },
  } as unknown as Engine;
  const told: string[] = [];
  const log = { warn: (_: object, text: string) => told.push(text) } as unknown as Logger;
  watchStrayFrames(engine, () => [macBytes(NODE_MAC)], log);
  isGone = true;
  t.mock.timers.tick(2_000);
  await turn();
  assert.deepEqual(told, ['counters could not be read: the map is gone']);
});
