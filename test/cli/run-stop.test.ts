/** A node that is told to stop says first that it is not ready, and goes on forwarding until routers have turned away. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LabProcess } from '../../scripts/lab/process.js';
import { ask } from '../api/fake-node.js';
import { flows } from '../engine/contract-frames.js';
import { createLink, type NodeLink } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, finalCounters, MAIN, sendFlows, startRun, writeFleet } from './run-fixture.js';

/** Longer than packets take to be sent and seen, on a machine that stands still now and then. */
const STOP_DELAY_MS = 5_000;
/** Longer than an end without delay takes there. */
const LONG_DELAY_MS = 60_000;

describe('a node that is told to stop', { skip: missingForIsolation('nft', 'ethtool') }, () => {
  let link: NodeLink | undefined;
  afterEach(() => link?.resources.close());

  async function start(stopDelayMs: number): Promise<{ run: LabProcess; socket: string }> {
    link = await createLink();
    const file = writeFleet(link, { node: { stop_delay: `${stopDelayMs}ms` } });
    return {
      run: await startRun(link, ['-c', file, ...FLAGS]),
      socket: join(link.resources.directory, 'control.sock'),
    };
  }

  test('is not ready from then on, forwards on for the configured time, and then ends', async () => {
    const { run, socket } = await start(STOP_DELAY_MS);
    const before = await ask(socket, '/ready');
    assert.deepEqual([before.status, before.json.ready, before.json.reasons], [200, true, []]);
    const from = performance.now();
    process.kill(run.pid, 'SIGTERM');
    await run.waitForEvent('stop_delay', STOP_DELAY_MS);
    const reasons = ['the node stops: SIGTERM'];
    const then = await ask(socket, '/ready');
    assert.deepEqual([then.status, then.json.ready, then.json.reasons], [503, false, reasons]);
    assert.deepEqual(await sendFlows(link!, flows(20)), { gre4: 20, gre6: 0 });
    assert.deepEqual(await run.exited, { code: 0, signal: null });
    assert.ok(performance.now() - from >= STOP_DELAY_MS, 'it has waited');
    assert.equal(finalCounters(run).engine.sent, 20);
  });

  test('ends at once when it is told a second time', async () => {
    const { run } = await start(LONG_DELAY_MS);
    const from = performance.now();
    process.kill(run.pid, 'SIGTERM');
    await run.waitForEvent('stop_delay', STOP_DELAY_MS);
    await delay(50);
    process.kill(run.pid, 'SIGTERM');
    assert.deepEqual(await run.exited, { code: 0, signal: null });
    assert.ok(performance.now() - from < LONG_DELAY_MS, 'it has not waited');
  });

  test('ends at once while it still waits for first checks, and has changed nothing', async () => {
    link = await createLink();
    const file = writeFleet(link);
    const config = JSON.parse(readFileSync(file, 'utf8'));
    config.pools.web.health = { kind: 'tcp', interval: '20s', timeout: '15s' }; // nobody answers there
    writeFileSync(file, JSON.stringify(config));
    const argv = [process.execPath, MAIN, 'run', '-c', file, ...FLAGS];
    const run = await link.resources.startProcess('anyhop run', link.node, argv);
    const socket = join(link.resources.directory, 'control.sock');
    const isWaiting = async (): Promise<boolean> => {
      const { status, json } = await ask(socket, '/ready').catch(() => ({ status: 0, json: undefined }));
      return status === 503 && json.reasons.includes('first health checks are under way');
    };
    while (!(await isWaiting())) await delay(50);
    const told = await ask(socket, '/status');
    assert.deepEqual([told.status, told.json.error.code], [503, 'ERR_STARTING']);
    const from = performance.now();
    assert.deepEqual(await run.stop('SIGTERM'), { code: 0, signal: null });
    assert.ok(performance.now() - from < 4_000, 'it has not waited for the check');
    assert.ok(!run.events.some(({ event }) => event === 'ready'));
  });
});
