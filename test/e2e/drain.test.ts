/** A drain at runtime, as an operator makes one: told by the command, watched by `status`, and over when its connections are. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import type { DrainStatus, NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { run } from '../../scripts/lab/command.js';
import { fourMixes } from '../../scripts/lab/config.js';
import { createLab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import { backendAddresses, VIP4 } from '../../scripts/lab/topology.js';
import type { Held } from './held-connections.js';

const TIMEOUT_MS = 60_000;
const WAIT_MS = 15_000;
const CONNECTIONS = 40;
const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const HELD_CONNECTIONS = fileURLToPath(new URL('./held-connections.js', import.meta.url));
const BACKENDS = [1, 2, 3].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));

test('anyhop drain ends by itself once its connections have ended, none of them broken', {
  skip: missingForLab()?.message ?? false,
  timeout: TIMEOUT_MS,
}, async () => {
  const [service, other] = fourMixes(BACKENDS);
  // A pool that does not have the backend is no reason to wait, or to fail.
  const without = { ...other!, backends: other!.backends.filter(({ name }) => name !== 'web-2') };
  const pool = { settle_time: '1s' }; // what the drain needs is remembered for as long as it lasts
  const lab = await createLab({
    forwarders: 1,
    backends: 3,
    engine: 'xdp',
    services: [service!, without],
    pool,
  });
  try {
    for (const file of [lab.configFile, join(dirname(lab.configFile), 'edge-1.yaml')]) {
      const config = parse(readFileSync(file, 'utf8'));
      config.services[0].second_chance = 'on';
      writeFileSync(file, stringify(config));
    }
    const { forwarders } = await lab.startAll();
    const argv = [process.execPath, HELD_CONNECTIONS, `${HTTP_PORTS[0]}`, `${CONNECTIONS}`, VIP4];
    const client = await lab.resources.startProcess('held connections', lab.client.namespace, argv);
    await client.waitForLine((line) => line === 'open', 'answers on all connections', WAIT_MS);
    const anyhop = (...args: string[]): Promise<string> =>
      run([process.execPath, MAIN, ...args, '--socket', lab.socket(0)], { timeoutMs: WAIT_MS });
    const backend = async (wanted: string) => {
      const [pool] = ((await ask(lab.socket(0), '/status')) as NodeStatus).pools;
      return pool!.backends.find(({ name }) => name === wanted)!;
    };
    const web2 = () => backend('web-2');
    const drainOnce = async (isIt: (drain: DrainStatus) => boolean): Promise<DrainStatus> => {
      const deadline = Date.now() + WAIT_MS;
      for (;;) {
        const { drain } = await web2();
        if (drain !== undefined && isIt(drain)) return drain;
        assert.ok(Date.now() < deadline, JSON.stringify(drain));
        await delay(100);
      }
    };

    await anyhop('drain', 'web-2');
    assert.equal((await web2()).state, 'draining');
    assert.equal((await web2()).slots, 0);
    const { connections, done } = await drainOnce((drain) => drain.connections !== null);
    assert.ok(connections! > 0 && connections! < CONNECTIONS, `${connections} connections`);
    assert.equal(done, false);
    assert.match(await anyhop('status'), new RegExp(`draining.*${connections} connection`));

    // The drain is one of two changes that may overlap, for as long as connections are left. With two drains a third change waits.
    await delay(1_500); // the drain has settled
    assert.match(await anyhop('weight', 'web-3', '2'), /in force/);
    await delay(1_500);
    assert.match(await anyhop('drain', 'web-1'), /in force/);
    await delay(1_500);
    assert.match(
      await anyhop('weight', 'web-3', '3'),
      /waits until .* at the latest, for web-1, web-2 to be drained/,
    );
    assert.match(await anyhop('status'), /for web-1, web-2 to be drained: web-3 weight 2 -> 3/);
    assert.equal((await backend('web-3')).weight, 2);

    // The node's word at runtime outlives the node.
    forwarders[0]!.kill();
    await forwarders[0]!.exited;
    await lab.startForwarder(0);
    assert.equal((await web2()).state, 'draining');
    assert.equal((await drainOnce((drain) => drain.connections !== null)).connections, connections);
    assert.equal((await backend('web-3')).weight, 2, 'what waits goes on waiting');

    const waiting = anyhop('drain', 'web-2', '--wait');
    await client.stop();
    const held: Held = JSON.parse(client.lines.at(-1)!);
    assert.equal(held['web-2']?.held, connections);
    assert.deepEqual(
      Object.values(held).map(({ broken }) => broken),
      [0, 0, 0],
    );
    assert.match(await waiting, /drained, no connection is left/);
    assert.equal((await drainOnce((drain) => drain.done)).connections, 0);

    const deadline = Date.now() + WAIT_MS;
    while ((await backend('web-3')).weight !== 3) {
      assert.ok(Date.now() < deadline, 'the weight never came');
      await delay(100);
    }

    // What the node says of itself leads to the tables that it has. It is asked once: a change may settle between two answers.
    const said = join(dirname(lab.configFile), 'edge-1.json');
    writeFileSync(said, await anyhop('status', '--json'));
    const [told] = JSON.parse(await run([process.execPath, MAIN, 'diff', said, said, '--json'])).pools;
    assert.deepEqual(told.reproduced ?? [true, true], [true, true]);
    assert.equal(told.same, true);

    await anyhop('undrain', 'web-2', '--force');
    assert.equal((await web2()).state, 'active');
    assert.equal((await web2()).drain, undefined);
  } finally {
    await lab.close();
  }
});
