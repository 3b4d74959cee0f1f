/** Planned changes of a running node, as an operator handles them: looked at before, listed, replaced, taken back, brought forward. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import type { PlanReport, QueuedReport, TablesReport } from '#anyhop/api/api.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { run } from '../../scripts/lab/command.js';
import { fourMixes } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { backendAddresses } from '../../scripts/lab/topology.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const TIMEOUT_MS = 120_000;
const WAIT_MS = 15_000;
const BACKENDS = [1, 2, 3, 4, 5].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));

describe('planned changes', { skip: missingForLab()?.message ?? false, timeout: TIMEOUT_MS }, () => {
  let lab: Lab;
  let node: LabProcess;
  let queued: string;
  let planned: string;
  before(async () => {
    const services = fourMixes(BACKENDS).slice(0, 2);
    lab = await createLab({
      forwarders: 1,
      backends: 5,
      engine: 'xdp',
      services,
      pool: { settle_time: '5m', health: { kind: 'tcp', interval: '200ms', timeout: '150ms' } },
    });
    node = (await lab.startAll()).forwarders[0]!;
    [queued, planned] = services.map(({ name }) => name) as [string, string];
  });
  after(() => lab?.close());

  const anyhop = (...args: string[]): Promise<string> =>
    run([process.execPath, MAIN, ...args, '--socket', lab.socket(0)], { timeoutMs: WAIT_MS });
  const say = (...args: string[]): Promise<string> => anyhop(...args, '--pool', queued);
  const waiting = async (): Promise<string[]> => {
    const { changes } = (await ask(lab.socket(0), '/changes')) as QueuedReport;
    return changes.map((one) => `${one.id} ${one.changes.join('; ')}`);
  };
  const backend = async (name: string) => {
    const { pools } = (await ask(lab.socket(0), '/status')) as NodeStatus;
    return pools.find((pool) => pool.name === queued)!.backends.find((one) => one.name === name)!;
  };

  test('an undrain takes back the drain that waits, a later weight the earlier one, and all keep their ids over a kill', async () => {
    assert.equal(await anyhop('changes'), 'no change waits\n');
    for (const weight of ['3', '2']) assert.match(await say('weight', 'web-1', weight), /in force/);
    assert.match(await say('drain', 'web-3'), /waits .*web-3 state active -> draining \(\S+:1\)/);
    await say('weight', 'web-2', '30');
    assert.match(
      await say('undrain', 'web-3'),
      new RegExp(`no longer waits: web-3 state active -> draining \\(${queued}:1\\)`),
    );
    await say('weight', 'web-2', '4');
    await say('weight', 'web-4', '7');
    const left = [`${queued}:2 web-2 weight 1 -> 4`, `${queued}:3 web-4 weight 1 -> 7`];
    assert.deepEqual(await waiting(), left);
    assert.match(
      await anyhop('changes'),
      /WAITS UNTIL +CHANGE\n.*:2 .*one of two changes settles +web-2 weight/,
    );
    node.kill();
    await node.exited;
    node = await lab.startForwarder(0);
    assert.deepEqual(await waiting(), left);
  });

  test('one is cancelled or brought forward, and the others go on waiting', async () => {
    assert.match(await anyhop('cancel', `${queued}:2`), /no longer waits: web-2 weight 1 -> 4/);
    await say('drain', 'web-5', '--force');
    assert.equal((await backend('web-5')).state, 'draining');
    assert.deepEqual(await waiting(), [`${queued}:3 web-4 weight 1 -> 7`]);
    await say('weight', 'web-3', '3');
    assert.match(await anyhop('force', `${queued}:4`), /in force, settles at .*: web-3 weight 1 -> 3\n/);
    assert.deepEqual([(await backend('web-3')).weight, (await backend('web-4')).weight], [3, 1]);
    assert.deepEqual(await waiting(), [`${queued}:3 web-4 weight 1 -> 7`]);
    await assert.rejects(anyhop('cancel', `${queued}:2`), /exit code 2[\s\S]*no change .*:2 waits/);
    assert.match(await anyhop('reload', '--force'), /also in force now: web-4 weight 1 -> 7/);
    assert.deepEqual(await waiting(), []);
    assert.equal((await backend('web-2')).weight, 1, 'what was cancelled does not come back');
  });

  test('one that came from the file is taken back until the file is read again', async () => {
    const file = lab.nodeFile(0);
    const text = readFileSync(file, 'utf8');
    const config = parse(text);
    config.pools[queued].backends[1].weight = 9;
    writeFileSync(file, stringify(config));
    await anyhop('reload');
    const [wait] = await waiting();
    assert.match(wait!, /web-2 weight 1 -> 9$/);
    const said = await anyhop('cancel', wait!.split(' ')[0]!);
    assert.match(
      said,
      /no longer waits: web-2 weight 1 -> 9[\s\S]*warning: \S+ still says it: the next reload or restart/,
    );
    await say('weight', 'web-3', '5');
    assert.deepEqual(
      (await waiting()).map((one) => one.replace(/^\S+ /, '')),
      ['web-3 weight 3 -> 5'],
      'and not by the next change of something else',
    );
    await anyhop('reload');
    assert.deepEqual(
      (await waiting()).map((one) => one.replace(/^\S+ /, '')),
      ['web-3 weight 3 -> 5', 'web-2 weight 1 -> 9'],
    );
    writeFileSync(file, text);
    await anyhop('reload');
    await say('weight', 'web-3', '3');
    assert.deepEqual(await waiting(), []);
  });

  test('says who gets nothing once every weight is 0', async () => {
    let said = '';
    for (const { name } of BACKENDS) said = await say('weight', name, '0', '--force');
    assert.match(said, /warning: pool \S+: no backend has a weight above 0/);
    for (const { name } of BACKENDS) await say('weight', name, '1', '--force');
  });

  test('a plan for a node in trouble says what then happens to its tables', async () => {
    await lab.servers[4]!.stop();
    const deadline = Date.now() + WAIT_MS;
    const isDown = async (): Promise<boolean> => {
      const { pools } = (await ask(lab.socket(0), '/status')) as NodeStatus;
      return pools.find(({ name }) => name === planned)!.backends.some(({ health }) => health !== 'up');
    };
    while (!(await isDown())) {
      assert.ok(Date.now() < deadline, 'web-5 never went down');
      await delay(50);
    }
    const tables = async () => {
      const report = (await ask(lab.socket(0), `/tables?pool=${planned}`)) as TablesReport;
      const { backends, owners, alternates } = report.pools[0]!;
      const names = (list: ArrayLike<number | null>) =>
        Array.from(list, (index) => (index === null ? null : backends[index]!));
      return { owners: names(owners), alternates: names(alternates) };
    };
    const was = await tables();
    const said: PlanReport = JSON.parse(
      await anyhop('drain', 'web-1', '--pool', planned, '--plan', '--json'),
    );
    assert.deepEqual(await tables(), was, 'a plan changes nothing');
    const { plan } = said.pools[0]!;
    await anyhop('drain', 'web-1', '--pool', planned);
    const is = await tables();
    const moved = was.owners.filter((owner, slot) => owner !== is.owners[slot]).length;
    const lost = was.owners.filter(
      (owner, slot) =>
        ![is.owners[slot], is.alternates[slot], is.alternates[is.owners.length + slot]].includes(owner),
    );
    assert.equal(Math.round(plan!.moved.slots), moved);
    assert.ok(Math.abs(plan!.moved.share - 0.25) < 0.01, `${plan!.moved.share}`);
    const [old, since] = plan!.flows;
    assert.deepEqual([old!.born, since!.born], ['remembered', 'in_force']);
    assert.equal(old!.tcpBreakWithSecondChance, 0);
    assert.equal(since!.tcpBreakWithSecondChance, lost.length / was.owners.length);
    assert.equal(lost.length, 0);
  });
});
