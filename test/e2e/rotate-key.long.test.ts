/** Another secret for the flow hash of a fleet, under connections: those with second chance stay, and the others show that it moves them. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { fourMixes, type LabService } from '../../scripts/lab/config.js';
import { createLabFleet, type LabFleet } from '../../scripts/lab/fleet.js';
import { createLab, type Lab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { backendAddresses, VIP4, VIP6 } from '../../scripts/lab/topology.js';
import type { Held } from './held-connections.js';

const TIMEOUT_MS = 240_000;
const WAIT_MS = 15_000;
const SETTLE_MS = 60_000;
const CONNECTIONS = 40;
const HELD_CONNECTIONS = fileURLToPath(new URL('./held-connections.js', import.meta.url));
const BACKENDS = [1, 2, 3].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));
const SECRET = 'ffeeddccbbaa99887766554433221100';

describe('another secret for the flow hash of a fleet', {
  skip: missingForLab(['etcd', 'etcdctl'])?.message ?? false,
  timeout: TIMEOUT_MS,
}, () => {
  let lab: Lab;
  let fleet: LabFleet;
  let forwarders: LabProcess[];

  const status = async (index: number) =>
    (await ask(join(dirname(fleet.file), `edge-${index + 1}.sock`), '/status')) as NodeStatus;
  const hold = async (vip: string, port: number): Promise<LabProcess> => {
    const argv = [process.execPath, HELD_CONNECTIONS, `${port}`, `${CONNECTIONS}`, vip];
    const held = await lab.resources.startProcess('held connections', lab.client.namespace, argv);
    await held.waitForLine((line) => line === 'open', 'that all are open', WAIT_MS);
    return held;
  };
  const end = async (held: LabProcess): Promise<{ held: number; broken: number }> => {
    await held.stop();
    const counts = Object.values(JSON.parse(held.lines.at(-1)!) as Held);
    return {
      held: counts.reduce((sum, one) => sum + one.held, 0),
      broken: counts.reduce((sum, one) => sum + one.broken, 0),
    };
  };
  const which = (index: number, port: number) =>
    run(
      inNamespace(lab.forwarders[index]!.namespace, [
        ...[
          process.execPath,
          PROGRAM,
          'which',
          '--socket',
          join(dirname(fleet.file), `edge-${index + 1}.sock`),
        ],
        ...['--src', `198.51.100.7:${port}`, '--dst', `${VIP4}:${HTTP_PORTS[0]}`],
      ]),
    );

  before(async () => {
    const [safe, other] = fourMixes(BACKENDS) as [LabService, LabService];
    lab = await createLab({
      forwarders: 2,
      backends: 3,
      engine: 'xdp',
      services: [
        { ...safe, secondChance: 'on' },
        { ...other, secondChance: 'off' },
      ],
      pool: { settle_time: `${SETTLE_MS}ms` },
    });
    fleet = await createLabFleet(lab);
    forwarders = await Promise.all([0, 1].map((i) => fleet.startForwarder(i, { until: 'fleet_waits' })));
    const agents = await Promise.all([0, 1, 2].map((i) => fleet.startAgent(i, { until: 'fleet_waits' })));
    await fleet.anyhop(['fleet', 'apply', fleet.file]);
    await Promise.all([...forwarders, ...agents].map((each) => each.waitForEvent('ready', WAIT_MS)));
  });
  after(() => lab?.close());

  test('is refused as long as no forwarder holds one, and where connections would break by it', async () => {
    await assert.rejects(
      fleet.anyhop(['fleet', 'rotate-key']),
      /no forwarder holds another secret than [0-9a-f]{16}/,
    );
    await fleet.addSecret(SECRET);
    assert.match(
      await fleet.anyhop(['fleet', 'status']),
      /flow hash key [0-9a-f]{16}; all forwarders hold also [0-9a-f]{16}/,
    );
    await assert.rejects(fleet.anyhop(['fleet', 'rotate-key']), /services without second chance: v6-over-v6/);
    assert.equal((await status(0)).fleet?.revision, 1);
  });

  test('breaks no connection with second chance, also through a restart of a node, and no other change comes meanwhile', async () => {
    const before = (await status(0)).keyFingerprint;
    const [safe, other] = [await hold(VIP4, HTTP_PORTS[0]), await hold(VIP6, HTTP_PORTS[0])];
    const said = await fleet.anyhop(['fleet', 'rotate-key', '--force', '-m', 'yearly']);
    assert.match(said, /another owner for 66.7 % of the flows of pool v4-over-v4/);
    assert.match(said, /revision 2 is in force on 5 members/);
    const keys = await Promise.all([0, 1].map(async (i) => (await status(i)).keyFingerprint));
    assert.equal(new Set([before, ...keys]).size, 2);
    assert.match(await which(0, 4711), new RegExp(`former key +${before}: slot \\d+, held by web-\\d`));
    forwarders[1]!.kill();
    await forwarders[1]!.exited;
    forwarders[1] = await fleet.startForwarder(1);
    assert.match(await which(1, 4711), /former key/);
    await delay(1_500);
    const [kept, moved] = [await end(safe), await end(other)];
    assert.deepEqual(kept, { held: CONNECTIONS, broken: 0 });
    assert.ok(moved.broken > CONNECTIONS / 3, `without second chance ${moved.broken} of ${moved.held} broke`);
    const drained = await run(
      inNamespace(lab.forwarders[0]!.namespace, [
        ...[process.execPath, PROGRAM, 'drain', 'web-3', '--plan', '--local'],
        ...['--socket', join(dirname(fleet.file), 'edge-1.sock')],
      ]),
    );
    assert.match(drained, /waits|queued|at the latest/);
    assert.match(
      await fleet.anyhop(['fleet', 'plan', fleet.file]),
      new RegExp(`node.key_id stays ${keys[0]}: .* does not say it`),
    );
    // As one that is new to the fleet.
    forwarders[1]!.kill();
    await forwarders[1]!.exited;
    rmSync(parse(readFileSync(fleet.fileOf(lab.forwarders[1]!), 'utf8')).node.state_dir, { recursive: true });
    forwarders[1] = await fleet.startForwarder(1);
    for (const end = Date.now() + WAIT_MS; !/former key/.test(await which(1, 4711)); await delay(200))
      assert.ok(Date.now() < end, 'a node without a memory does not know the former key');
  });

  test('is the only one when the settle time is over', async () => {
    for (
      const end = Date.now() + SETTLE_MS + WAIT_MS;
      /former key/.test(await which(0, 4711));
      await delay(500)
    )
      assert.ok(Date.now() < end, 'the former key is still asked for');
    const held = await hold(VIP4, HTTP_PORTS[0]);
    await delay(500);
    assert.deepEqual(await end(held), { held: CONNECTIONS, broken: 0 });
  });
});
