/**
 * What the two phases of a change promise, over random lists of what may happen to a fleet: real members, stores and operators under a
 * simulated clock, network and store (simulated/). A failure prints the shortest list and how to repeat it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Asked, Found } from './simulated/lives.js';

const { ANYHOP_SEED, FLEET_RUNS = '1000', FLEET_SECONDS = '6', FLEET_PATH } = process.env;

test('keeps what two phases promise, whatever fails', async (t) => {
  const asked: Asked = {
    seed: Number(ANYHOP_SEED ?? Math.floor(Math.random() * 2 ** 31)),
    runs: Number(FLEET_RUNS),
    secondsMax: Number(FLEET_SECONDS),
    path: FLEET_PATH,
  };
  const worker = new Worker(new URL('./simulated/lives.js', import.meta.url), { workerData: asked });
  const [{ runs, broken, path }] = (await once(worker, 'message')) as [Found];
  t.diagnostic(`${runs} fleets, ANYHOP_SEED=${asked.seed}`);
  assert.equal(
    broken,
    undefined,
    `after ${runs} fleets: ${broken}\nANYHOP_SEED=${asked.seed} FLEET_PATH=${path} repeats it`,
  );
});
