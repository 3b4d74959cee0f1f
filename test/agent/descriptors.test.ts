/** An agent goes on without file descriptors and without a log, and nobody opens Node's debugger on it. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LabProcess } from '../../scripts/lab/process.js';
import { missingForIsolation } from '../isolation.js';
import { Backend, networkSkip } from './backend.js';

const READY_TIMEOUT_MS = 20_000;
const NONE_LEFT = 3;
const PLENTY = 1024;
/** Some turns of its watch over the link and the host's addresses. */
const WATCHED_MS = 3_500;

describe('an agent', { skip: networkSkip() || missingForIsolation('prlimit') }, () => {
  let backend: Backend;
  before(async () => {
    backend = await Backend.make();
  });
  after(() => backend?.close());

  async function start(...through: string[]): Promise<LabProcess> {
    const agent = await backend.startAgentThrough(through);
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    return agent;
  }

  test('delivers without file descriptors, refuses a reload, and takes one when they are back', async () => {
    const agent = await start();
    const limit = (count: number) =>
      backend.exec('prlimit', '--pid', String(agent.pid), `--nofile=${count}:${PLENTY}`);
    await limit(NONE_LEFT);
    process.kill(agent.pid, 'SIGHUP');
    await agent.waitForEvent('reload_refused', READY_TIMEOUT_MS);
    await backend.ip('addr', 'add', '10.1.0.77/32', 'dev', 'lo');
    await delay(WATCHED_MS);
    assert.ok(agent.running, agent.tail());
    await limit(PLENTY);
    process.kill(agent.pid, 'SIGHUP');
    await agent.waitForEvent('reloaded', READY_TIMEOUT_MS);
    assert.deepEqual(await agent.stop('SIGINT'), { code: 0, signal: null });
  });

  test('goes on when its log cannot be written', async () => {
    const agent = await backend.startAgentThrough(['sh', '-c', 'exec "$@" 2>/dev/full', 'sh']);
    while ((await backend.xdp()) === undefined) await delay(50);
    process.kill(agent.pid, 'SIGHUP');
    await delay(WATCHED_MS);
    assert.ok(agent.running, agent.tail());
    assert.deepEqual(await agent.stop('SIGINT'), { code: 0, signal: null });
    assert.equal(await backend.xdp(), undefined);
  });

  test('takes SIGUSR1 for nothing: no debugger listens', async () => {
    const agent = await start();
    process.kill(agent.pid, 'SIGUSR1');
    await delay(WATCHED_MS);
    const listening = readFileSync(`/proc/${agent.pid}/net/tcp`, 'latin1');
    assert.doesNotMatch(listening, /0100007F:240D /); // 127.0.0.1:9229
    assert.deepEqual(await agent.stop('SIGINT'), { code: 0, signal: null });
  });

  test('pins again what somebody removes of its pins, at the latest on SIGTERM', async () => {
    const agent = await start();
    const [before, remove] = [
      backend.pins(),
      () => rmSync(join(backend.bpffs, 'anyhop-agent'), { recursive: true }),
    ];
    remove();
    await agent.waitForEvent('pinned_again', READY_TIMEOUT_MS);
    assert.deepEqual(backend.pins(), before);
    remove();
    assert.deepEqual(await agent.stop('SIGTERM'), { code: 0, signal: null });
    assert.ok(
      agent.events.some(({ event }) => event === 'left'),
      agent.tail(),
    );
    assert.deepEqual(backend.pins(), before);
    const next = await start();
    assert.equal(next.events.find(({ event }) => event === 'ready')?.['replaced'], true);
    await next.stop('SIGINT');
    assert.deepEqual(backend.pins(), []);
  });
});
