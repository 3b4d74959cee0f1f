/** The life of `anyhop run` on a real interface: how it ends, what it then says, and what it leaves on the host. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CaptureWriter } from '#anyhop/packet/capture.js';
import { flows } from '../engine/contract-frames.js';
import { createLink, here as engineFile, LINK, type NodeLink } from '../engine/link.js';
import { missingForIsolation, withRuntimeDirectory } from '../isolation.js';
import {
  FLAGS,
  finalCounters,
  MAIN,
  READY_TIMEOUT_MS,
  sendFlows,
  startRun,
  writeFleet,
} from './run-fixture.js';

/** Breath, stop and what a busy machine adds. */
const STOP_IN_FLOOD_MS_MAX = 3500;
const FLOOD_BEFORE_STOP_MS = 2500;
const NOBODY = 65534;

describe('anyhop run', { skip: missingForIsolation('nft', 'ethtool', 'setpriv') }, () => {
  let link: NodeLink | undefined;
  afterEach(() => link?.resources.close());

  const hostState = async ({ onNode }: NodeLink): Promise<string> =>
    `${await onNode('nft', 'list', 'ruleset')}${await onNode('ethtool', '-k', LINK)}`;

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`ends on ${signal} with its final counters and exit code 0, and gives the host back`, async () => {
      link = await createLink();
      const state = await hostState(link);
      const run = await startRun(link, ['-c', writeFleet(link), ...FLAGS]);
      assert.notEqual(await hostState(link), state);
      assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 20, gre6: 0 });
      assert.deepEqual(await run.stop(signal), { code: 0, signal: null });
      const { engine, verdicts } = finalCounters(run);
      assert.deepEqual(engine, { received: 20, sent: 20, sendFailed: 0, missed: 0 });
      assert.deepEqual(verdicts, { forwarded: 20 });
      assert.equal(await hostState(link), state);
    });
  }

  test('needs no root where it has both capabilities, and those as ambient ones', async (t) => {
    link = await createLink();
    const state = await hostState(link);
    const file = writeFleet(link);
    for (const path of [link.resources.directory, file]) chownSync(path, NOBODY, NOBODY);
    const setpriv = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    const readable = spawnSync(setpriv[0], [...setpriv.slice(1), 'test', '-r', MAIN]).status === 0;
    if (!readable) return t.skip('needs a checkout that every user can read');
    const capabilities = ['--inh-caps=+net_raw,+net_admin', '--ambient-caps=+net_raw,+net_admin'];
    const run = await startRun(
      link,
      ['-c', file, ...FLAGS],
      [...withRuntimeDirectory(NOBODY), ...setpriv, ...capabilities],
    );
    assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 20, gre6: 0 });
    assert.deepEqual(await run.stop(), { code: 0, signal: null });
    assert.deepEqual(finalCounters(run).engine, { received: 20, sent: 20, sendFailed: 0, missed: 0 });
    assert.equal(await hostState(link), state);
  });

  test('more signals while it stops change nothing', async () => {
    link = await createLink();
    const state = await hostState(link);
    const run = await startRun(link, ['-c', writeFleet(link), ...FLAGS]);
    for (const signal of ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGINT'] as const) {
      process.kill(run.pid, signal);
      await delay(5);
    }
    assert.deepEqual(await run.exited, { code: 0, signal: null });
    assert.equal(await hostState(link), state);
  });

  test('ends on SIGTERM in the middle of a flood, and its counters add up', async () => {
    link = await createLink();
    const state = await hostState(link);
    const run = await startRun(link, ['-c', writeFleet(link), ...FLAGS]);
    const file = join(link.resources.directory, 'flood.pcap');
    const writer = new CaptureWriter(file);
    for (const bytes of flows(256)) writer.write(bytes, 0n);
    writer.close();
    const argv = [process.execPath, engineFile('../packets/inject.js'), LINK, file, '1e9', '1e9'];
    const flood = await link.resources.startProcess('flood', link.peer, argv);
    // Longer than a capture lasts that never runs dry.
    await delay(FLOOD_BEFORE_STOP_MS);
    assert.ok(flood.running, flood.tail());
    const start = performance.now();
    const exit = await run.stop('SIGTERM');
    const took = performance.now() - start;
    assert.ok(flood.running, 'the flood outlasts it');
    assert.deepEqual(exit, { code: 0, signal: null });
    assert.ok(took < STOP_IN_FLOOD_MS_MAX, `it took ${took} ms`);
    const { engine, verdicts } = finalCounters(run);
    assert.ok(engine.missed > 0, 'it was a flood');
    assert.deepEqual(verdicts, { forwarded: engine.received });
    assert.equal(engine.sent + engine.sendFailed, engine.received);
    assert.equal(await hostState(link), state);
    flood.kill();
  });

  test('after a SIGKILL the next one starts, and gives the host back as it was at first', async () => {
    link = await createLink();
    const state = await hostState(link);
    const args = ['-c', writeFleet(link), ...FLAGS];
    const killed = await startRun(link, args);
    killed.kill();
    await killed.exited;
    assert.notEqual(await hostState(link), state);
    const next = await startRun(link, args);
    assert.deepEqual(await next.stop(), { code: 0, signal: null });
    assert.equal(await hostState(link), state);
  });

  test('an interface that goes down makes it not ready, and it forwards again once the interface is up', async () => {
    link = await createLink();
    const state = await hostState(link);
    const run = await startRun(link, ['-c', writeFleet(link), ...FLAGS]);
    const times = (event: string): number => run.events.filter((each) => each.event === event).length;
    await link.onNode('ip', 'link', 'set', LINK, 'down');
    await run.waitForEvent('not_ready', READY_TIMEOUT_MS);
    await link.onNode('ip', 'link', 'set', LINK, 'up');
    await link.onNode('ip', 'route', 'add', 'default', 'via', '10.0.0.2');
    await run.waitForLine(() => times('ready') === 2, 'second event "ready"', READY_TIMEOUT_MS);
    assert.deepEqual(await sendFlows(link, flows(2)), { gre4: 2, gre6: 0 });
    assert.deepEqual(await run.stop(), { code: 0, signal: null });
    assert.equal(await hostState(link), state);
  });

  test('takes name, interface and source from the environment, and works where there is no IPv4', async () => {
    link = await createLink([6]);
    const file = writeFleet(link, { backends: ['fd00:1::11', 'fd00:1::12'] });
    const env = [
      'env',
      'ANYHOP_NODE_NAME=edge-7',
      `ANYHOP_INTERFACE=${LINK}`,
      'ANYHOP_SOURCE=fd00::1',
      `ANYHOP_CONFIG=${file}`,
    ];
    const run = await startRun(link, [], env);
    const ready = run.events.find(({ event }) => event === 'ready');
    assert.deepEqual([ready?.['node'], ready?.['interface']], ['edge-7', LINK]);
    assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 0, gre6: 20 });
    assert.deepEqual(await run.stop(), { code: 0, signal: null });
  });

  test('takes flags before the environment, and works where there is no IPv6', async () => {
    link = await createLink([4]);
    const env = ['env', 'ANYHOP_NODE_NAME=edge-7', 'ANYHOP_INTERFACE=nothing', 'ANYHOP_SOURCE=192.0.2.1'];
    const run = await startRun(link, ['-c', writeFleet(link), ...FLAGS], env);
    assert.equal(run.events.find(({ event }) => event === 'ready')?.['node'], 'edge-1');
    assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 20, gre6: 0 });
    assert.deepEqual(await run.stop(), { code: 0, signal: null });
  });
});
