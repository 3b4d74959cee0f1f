/** The agent's program delivers and sends on, whatever becomes of its process: each packet and each count is accounted for. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { countersPin } from '#anyhop/agent/pins.js';
import { AGENT_VERDICTS } from '#anyhop/core/layout.gen.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { missingForIsolation } from '../isolation.js';
import { Backend, networkSkip } from './backend.js';
import { Load, type Outcome, requireAll, verdictsOf } from './load.js';

const READY_TIMEOUT_MS = 20_000;
const ROUNDS = 3;
/** With nobody in charge, or before the next thing happens. */
const PAUSE_MS = 200;

test('counters are found again by the same verdicts in the same order alone', () => {
  const names = AGENT_VERDICTS.map(({ name }) => name);
  const changed = [names.toReversed(), names.slice(1), [...names, 'another']];
  assert.equal(new Set([names, ...changed].map(countersPin)).size, 4);
  assert.equal(countersPin([...names]), countersPin(names));
});

describe('the agent under load', { skip: networkSkip() || missingForIsolation('nft', 'setpriv') }, () => {
  let backend: Backend;
  before(async () => {
    backend = await Backend.make();
  });
  after(() => backend?.close());

  async function start(through: readonly string[] = []): Promise<LabProcess> {
    const agent = await backend.startAgentThrough(through);
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    return agent;
  }

  /** Runs under load, from the agent that it starts to the one that `use` gives back, which is stopped. */
  async function underLoad(
    use: (agent: LabProcess) => Promise<LabProcess>,
  ): Promise<{ outcome: Outcome; verdicts: Record<string, number> }> {
    const first = await start();
    const load = await Load.start(backend);
    try {
      const last = await use(first);
      const outcome = await load.finish();
      assert.equal((await last.stop('SIGINT')).code, 0);
      return { outcome, verdicts: verdictsOf(last.events) };
    } finally {
      await load.close();
    }
  }

  /** What agents have counted, all together, is what was sent. */
  function requireCounted({ datagrams, strays }: Outcome, verdicts: Record<string, number>): void {
    const { delivered, sent_on } = verdicts;
    assert.deepEqual({ delivered, sent_on }, { delivered: datagrams, sent_on: strays });
  }

  async function restarts(
    agent: LabProcess,
    end: (agent: LabProcess) => Promise<unknown>,
    through: readonly string[] = [],
  ): Promise<LabProcess> {
    let last = agent;
    for (let i = 0; i < ROUNDS; i++) {
      await delay(PAUSE_MS);
      await end(last);
      await delay(PAUSE_MS);
      last = await start(through);
      assert.equal(last.events.find(({ event }) => event === 'ready')?.['replaced'], true);
    }
    return last;
  }

  const terminate = async (agent: LabProcess): Promise<void> => {
    assert.deepEqual(await agent.stop('SIGTERM'), { code: 0, signal: null });
    assert.ok(agent.events.some(({ event }) => event === 'left'));
  };
  const kill = (agent: LabProcess): Promise<unknown> => {
    agent.kill();
    return agent.exited;
  };

  for (const [name, end] of [
    ['SIGTERM', terminate],
    ['kill -9', kill],
  ] as const) {
    test(`loses no packet and no count when it ends by ${name} and starts again`, async (t) => {
      const { outcome, verdicts } = await underLoad((agent) => restarts(agent, end));
      t.diagnostic(JSON.stringify(outcome));
      requireAll(outcome);
      requireCounted(outcome, verdicts);
      assert.deepEqual(backend.pins(), []);
    });
  }

  test('needs no CAP_SYS_ADMIN to take over', async () => {
    const without = ['setpriv', '--bounding-set', '-sys_admin'];
    const { outcome, verdicts } = await underLoad((agent) => restarts(agent, kill, without));
    requireAll(outcome);
    requireCounted(outcome, verdicts);
  });

  test('loses no packet and no count when SIGHUPs reload it, and one of them in the middle of another', async () => {
    const { outcome, verdicts } = await underLoad(async (agent) => {
      for (let i = 0; i < ROUNDS; i++) {
        const before = reloads(agent);
        process.kill(agent.pid, 'SIGHUP');
        await delay(PAUSE_MS / 4);
        process.kill(agent.pid, 'SIGHUP');
        while (reloads(agent) === before) await delay(10);
        await delay(PAUSE_MS);
      }
      return agent;
    });
    requireAll(outcome);
    requireCounted(outcome, verdicts);
  });
  const reloads = (agent: LabProcess): number =>
    agent.events.filter(({ event }) => event === 'reloaded').length;

  test('loses no packet without a BPF file system, but its counts', async () => {
    const file = join(backend.bpffs, '..', 'no-directory');
    writeFileSync(file, '');
    backend.configure((text) => text.replace(/bpffs: .*/, `bpffs: ${file}`));
    try {
      const { outcome, verdicts } = await underLoad(async (agent) => {
        assert.ok(agent.events.some(({ event }) => event === 'not_pinned'));
        const last = await restarts(agent, terminate);
        const before = reloads(last);
        process.kill(last.pid, 'SIGHUP');
        while (reloads(last) === before) await delay(10);
        return last;
      });
      requireAll(outcome);
      assert.ok(verdicts['delivered'] < outcome.datagrams);
      assert.ok(verdicts['delivered'] > 0);
    } finally {
      backend.configure();
    }
  });

  test('takes over what an agent without pins has left, by the same way, without losing a packet', async () => {
    const file = join(backend.bpffs, '..', 'no-directory');
    backend.configure((text) => text.replace(/bpffs: .*/, `bpffs: ${file}`));
    const { outcome, verdicts } = await underLoad(async (agent) => {
      await kill(agent);
      backend.configure();
      const second = await start();
      assert.deepEqual(
        backend.pins().map((pin) => pin.replace(/-.*/, '')),
        ['budget', 'capture', 'captured', 'counters', 'fleet'],
      );
      await terminate(second);
      const counted = verdictsOf(second.events);
      const third = await start();
      await terminate(third);
      assert.ok(verdictsOf(third.events)['delivered'] > counted['delivered'], 'counters go on now');
      return start();
    });
    requireAll(outcome);
    assert.ok(verdicts['delivered'] > 0);
    assert.equal(await backend.xdp(), undefined);
    assert.deepEqual(backend.pins(), []);
  });

  test('starts its counters again after a version with other verdicts, and takes over all the same', async () => {
    const { outcome } = await underLoad(async (agent) => {
      await kill(agent);
      backend.renameCounters('counters-another');
      const next = await start();
      assert.ok(next.events.some(({ event }) => event === 'counters_dropped'));
      assert.ok(!backend.pins().includes('counters-another'));
      return next;
    });
    requireAll(outcome);
  });
});
