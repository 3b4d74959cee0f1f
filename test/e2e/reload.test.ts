/** A running node takes changes: what it is told is in force, what is wrong is refused with its place, and a restart forgets nothing. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { run } from '../../scripts/lab/command.js';
import { fourMixes, type LabService } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { backendAddresses, VIP4 } from '../../scripts/lab/topology.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const TIMEOUT_MS = 60_000;
const WAIT_MS = 10_000;
const SETTLE_MS = 4_000;
const BACKENDS = [1, 2, 3].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));

interface ConfigFile {
  pools: Record<string, { backends: { name: string; address: string; state?: string; weight?: number }[] }>;
}

describe('a running node', { skip: missingForLab()?.message ?? false, timeout: TIMEOUT_MS }, () => {
  let lab: Lab;
  let node: LabProcess;
  let file: string;
  let port = 30_000;

  before(async () => {
    const [service] = fourMixes(BACKENDS) as [LabService];
    lab = await createLab({
      forwarders: 1,
      backends: 3,
      engine: 'xdp',
      services: [service],
      pool: { settle_time: `${SETTLE_MS}ms`, health: { kind: 'tcp', interval: '200ms', timeout: '150ms' } },
    });
    file = join(dirname(lab.configFile), 'edge-1.yaml');
    edit(({ backends }) => backends.pop()); // the agents know it already
    node = (await lab.startAll()).forwarders[0]!;
  });
  after(() => lab?.close());

  const status = async () => (await ask(lab.socket(0), '/status')) as NodeStatus;
  const edit = (change: (pool: ConfigFile['pools'][string]) => void): void => {
    const config: ConfigFile = parse(readFileSync(file, 'utf8'));
    for (const pool of Object.values(config.pools)) change(pool);
    writeFileSync(file, stringify(config));
  };
  /** The first line with this event that comes after the signal. */
  const reload = async (event: string): Promise<Record<string, unknown>> => {
    const known = node.events.length;
    process.kill(node.pid, 'SIGHUP');
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const found = node.events.slice(known).find((each) => each.event === event);
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`no ${event}\n${node.tail()}`);
      await delay(20);
    }
  };
  const answers = async () => {
    port += 100;
    const requests = getRequests(VIP4, HTTP_PORTS[0], { count: 30, firstSourcePort: port });
    return (await lab.request({ requests, concurrency: 8, timeoutMs: 5_000 })).map(({ backend }) => backend);
  };
  const settled = async (): Promise<void> => {
    while ((await status()).pools.some(({ change }) => change.settlesAt !== undefined)) await delay(50);
  };

  test('says that it is ready and that nothing waits', async () => {
    const { readiness, config, overrides, pools } = await status();
    assert.deepEqual([readiness.ready, readiness.reasons], [true, []]);
    assert.equal(config.file, file);
    assert.deepEqual(overrides, []);
    for (const { change, remembered } of pools) {
      assert.deepEqual(change, { queued: [] });
      assert.deepEqual(remembered, []);
    }
  });

  test('takes a backend that has come, has it checked first, and remembers who was there before', async () => {
    edit(({ backends }) => backends.push({ name: 'web-3', address: BACKENDS[2]!.host4 }));
    await reload('reloaded');
    const [pool] = (await status()).pools;
    assert.deepEqual(
      pool!.backends.map(({ name, health }) => `${name} ${health}`),
      ['web-1 up', 'web-2 up', 'web-3 up'],
    );
    assert.deepEqual(
      pool!.remembered.map((state) => state.map(({ name }) => name)),
      [['web-1', 'web-2']],
    );
    assert.ok(pool!.change.settlesAt !== undefined);
    assert.deepEqual([...new Set(await answers())].sort(), ['web-1', 'web-2', 'web-3']);
  });

  test('lets a third change wait until one of two has settled, also over a kill and a restart', async () => {
    await settled();
    for (const weight of [2, 4, 3]) {
      edit(({ backends }) => {
        backends[0]!.weight = weight;
      });
      await reload('reloaded');
    }
    const [waiting] = (await status()).pools;
    assert.equal(waiting!.backends.find(({ name }) => name === 'web-1')!.weight, 4);
    assert.deepEqual(
      waiting!.change.queued.map(({ changes }) => changes),
      [['web-1 weight 4 -> 3']],
    );
    node.kill();
    await node.exited;
    node = await lab.startForwarder(0);
    const [again] = (await status()).pools;
    assert.ok(again!.change.queued.length > 0 || again!.backends.some(({ weight }) => weight === 3));
    const deadline = Date.now() + WAIT_MS;
    while ((await status()).pools[0]!.backends.every(({ weight }) => weight !== 3)) {
      assert.ok(Date.now() < deadline, 'the change that waited never came into force');
      await delay(50);
    }
    const [done] = (await status()).pools;
    const [former] = done!.remembered;
    assert.ok(
      former!.some(({ name }) => name === 'web-3'),
      'the remembered state is what was before it',
    );
    assert.equal(former!.find(({ name }) => name === 'web-1')!.weight, 4);
    await settled();
  });

  test('refuses a broken file with its place, says so in its status, and forwards on by the old one', async () => {
    const before = await status();
    const now = readFileSync(file, 'utf8');
    writeFileSync(file, now.replace(/weight: 3/, 'weight: heavy'));
    const line = now.split('\n').findIndex((text) => text.includes('weight: 3')) + 1;
    const { msg } = (await reload('reload_refused')) as { msg: string };
    assert.match(msg, new RegExp(`edge-1\\.yaml:${line}:\\d+: pools\\.\\S+\\.weight: found "heavy"`));
    // Whoever asks by the command is told the same, and by the exit code.
    await assert.rejects(
      run([process.execPath, MAIN, 'reload', '--socket', lab.socket(0)]),
      ({ message }: Error) => {
        assert.match(message, /exit code 2/);
        assert.match(message, new RegExp(`edge-1\\.yaml:${line}:\\d+: pools\\.\\S+\\.weight: found "heavy"`));
        return true;
      },
    );
    const after = await status();
    assert.match(after.config.refused!.message, /weight/);
    assert.equal(after.image.digest, before.image.digest);
    assert.ok((await answers()).every((backend) => backend !== null));
    writeFileSync(file, now);
    await reload('reloaded');
    assert.equal((await status()).config.refused, undefined);
  });

  test('refuses what takes a restart, and names the fields', async () => {
    const now = readFileSync(file, 'utf8');
    writeFileSync(file, now.replace(/engine: \S+/, 'engine: portable'));
    const { msg } = (await reload('reload_refused')) as { msg: string };
    assert.match(msg, /node\.engine cannot change while the node runs/);
    writeFileSync(file, now);
    await reload('reloaded');
  });

  test('does not do at a restart what a reload has refused, and takes it when it is forced', async () => {
    const now = readFileSync(file, 'utf8');
    const key = 'ffeeddccbbaa99887766554433221100';
    const lossy = now.replace(/key: \S+/, `key: ${key}`).replace(/^( +)backends:/m, '$1table_size: 257\n$&');
    assert.match(lossy, /table_size: 257/);
    const before = await status();
    writeFileSync(file, lossy);
    const { msg, hint } = (await reload('reload_refused')) as { msg: string; hint: string };
    assert.match(
      msg,
      /node\.key: another key .*connections break of .*; pools\.\S+\.table_size: 65537 -> 257/,
    );
    assert.match(hint, /reload --force/);
    const again = async (): Promise<NodeStatus> => {
      node.kill();
      await node.exited;
      node = await lab.startForwarder(0);
      return status();
    };
    const kept = await again();
    assert.match(kept.config.refused!.message, /node\.key: another key[\s\S]*table_size: 65537 -> 257/);
    assert.equal(kept.keyFingerprint, before.keyFingerprint);
    assert.equal(kept.pools[0]!.digests.owners, before.pools[0]!.digests.owners);
    const refused = node.events.find(({ event }) => event === 'config_refused');
    assert.match(String(refused?.['msg']), /starts with the last config that was in force, .*reload --force/);
    assert.ok(!node.lines.some((line) => /not a packet/.test(line)), 'nothing is promised of packets');
    await run([process.execPath, MAIN, 'reload', '--force', '--socket', lab.socket(0)]);
    const taken = await again();
    assert.equal(taken.config.refused, undefined);
    assert.deepEqual([taken.pools[0]!.slots, taken.keyFingerprint === before.keyFingerprint], [257, false]);
    assert.ok((await answers()).every((backend) => backend !== null));
    writeFileSync(file, now);
    await run([process.execPath, MAIN, 'reload', '--force', '--socket', lab.socket(0)]);
    assert.ok(!node.lines.some((line) => line.includes(key)));
  });

  test('does not give the id of a backend to another machine, by a reload or by a restart, and says which is free', async () => {
    const now = readFileSync(file, 'utf8');
    const config = parse(now);
    for (const service of config.services) service.second_chance = 'on';
    const [pool] = Object.keys(config.pools);
    const [web1] = config.pools[pool!].backends;
    const former = web1.address;
    const id = 0x0101; // of 10.1.1.1
    Object.assign(web1, { address: '10.1.9.9', id });
    writeFileSync(file, stringify(config));
    const { msg } = (await reload('reload_refused')) as { msg: string };
    const said = new RegExp(
      `pools\\.\\S+: web-1 \\(10\\.1\\.9\\.9\\) has the id ${id}, which ${former} had within the settle time; expected a free one beside the address: id: 32767`,
    );
    assert.match(msg, said);
    node.kill();
    await node.exited;
    node = await lab.startForwarder(0);
    assert.match((await status()).config.refused!.message, said);
    assert.equal((await status()).pools[0]!.backends[0]!.address, former);
    // A machine that has left is remembered, though the last good file does not name it.
    config.pools[pool!].settle_time = '60s';
    config.pools[pool!].backends.shift();
    writeFileSync(file, stringify(config));
    await reload('reloaded');
    config.pools[pool!].backends.unshift(web1);
    writeFileSync(file, stringify(config));
    node.kill();
    await node.exited;
    node = await lab.startForwarder(0);
    assert.match((await status()).config.refused!.message, said);
    assert.ok((await status()).pools[0]!.backends.every(({ address }) => address !== web1.address));
    writeFileSync(file, now);
    await run([process.execPath, MAIN, 'reload', '--force', '--socket', lab.socket(0)]);
  });

  test('asks for force before a service is served no longer', async () => {
    const now = readFileSync(file, 'utf8');
    writeFileSync(file, now.replace(/port: 80\b/, 'port: 81'));
    const { msg } = (await reload('reload_refused')) as { msg: string };
    assert.match(msg, /no longer served; those flows end/);
    writeFileSync(file, now);
    await reload('reloaded');
  });

  test('starts with the last good config when the file has been broken meanwhile', async () => {
    const now = readFileSync(file, 'utf8');
    writeFileSync(file, `${now}\nservices: nonsense\n`);
    node.kill();
    await node.exited;
    // Where to look cannot be read from the file any more.
    process.env['ANYHOP_STATE_DIR'] = join(dirname(file), 'edge-1.state');
    node = await lab.startForwarder(0).finally(() => delete process.env['ANYHOP_STATE_DIR']);
    assert.match((await status()).config.refused!.message, /services/);
    assert.ok((await answers()).every((backend) => backend !== null));
    writeFileSync(file, now);
    await reload('reloaded');
    assert.equal((await status()).config.refused, undefined);
  });
});
