/** Health that a fleet agrees on: three forwarders with a real store, of which some cannot see a backend. */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { BackendStatus, NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { fourMixes, type LabService } from '../../scripts/lab/config.js';
import { createLabFleet, type LabFleet } from '../../scripts/lab/fleet.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { backendAddresses } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 120_000;
const WAIT_MS = 15_000;
/** From the view that makes the majority to the last node that goes by it: 0.1 s, on a busy machine more, but no read by the clock (2 s). */
const AGREED_MS = 1_500;
/** Until a node without the store goes by its own view, and what the store may take to be noticed. */
const ALONE_MS = 12_000;
const CHECK = { kind: 'tcp', port: 80, interval: '300ms', timeout: '250ms', rise: 1, fall: 2 };
const BACKENDS = [1, 2, 3].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));
const POOL = 'v4-over-v4';

describe('the health that a fleet agrees on', {
  skip: missingForLab(['etcd', 'etcdctl'])?.message ?? false,
  timeout: TIMEOUT_MS,
}, () => {
  let lab: Lab;
  let fleet: LabFleet;
  let forwarders: LabProcess[] = [];

  const nft = (edge: number, ...words: string[]) =>
    run(inNamespace(lab.forwarders[edge - 1]!.namespace, ['nft', ...words]));
  /** What a forwarder sends to an address is lost, or not any more. */
  const blind = (edge: number, address: string) => nft(edge, `add element inet blind to { ${address} }`);
  const heal = (edge: number, address: string) => nft(edge, `delete element inet blind to { ${address} }`);
  const status = async (edge: number) =>
    (await ask(join(dirname(fleet.file), `edge-${edge}.sock`), '/status')) as NodeStatus;
  const backend = async (edge: number, number: number): Promise<BackendStatus> =>
    (await status(edge)).pools[0]!.backends.find(({ name }) => name === `web-${number}`)!;
  const eventually = async (what: string, holds: () => Promise<boolean>, ms = WAIT_MS) => {
    for (const end = Date.now() + ms; !(await holds()); await delay(50))
      if (Date.now() > end) assert.fail(`never ${what}`);
  };
  /** Log lines, newest last. */
  const said = (edge: number, event: string, number: number, health: string) =>
    forwarders[edge - 1]!.events.filter(
      (each) =>
        each.event === event && each['backend'] === `${POOL}/web-${number}` && each['health'] === health,
    );

  before(async () => {
    const [service] = fourMixes(BACKENDS) as [LabService];
    lab = await createLab({
      forwarders: 3,
      backends: 3,
      engine: 'xdp',
      services: [service],
      pool: { health: CHECK, settle_time: '1s' },
    });
    fleet = await createLabFleet(lab, { views: 'quorum' });
    for (const edge of [1, 2, 3]) {
      await nft(
        edge,
        'table inet blind { set to { type ipv4_addr; }; chain out { type filter hook output priority 0; ip daddr @to drop; }; }',
      );
    }
    forwarders = await Promise.all(
      [0, 1, 2].map((index) => fleet.startForwarder(index, { until: 'fleet_waits' })),
    );
    await fleet.anyhop(['fleet', 'apply', fleet.file]);
    await Promise.all(forwarders.map((each) => each.waitForEvent('ready', WAIT_MS)));
  });
  after(() => lab?.close());

  test('is not changed by one node of three that cannot see a backend, which says so', async () => {
    await blind(1, BACKENDS[2]!.host4);
    await eventually(
      'disputed',
      async () => (await backend(1, 3)).healthReason?.includes('1 of 3 nodes sees it down') === true,
    );
    for (const edge of [1, 2, 3]) assert.equal((await backend(edge, 3)).health, 'up');
    const { healthReason } = await backend(1, 3);
    assert.match(healthReason!, /^no connection.*; it counts as up all the same, since only 1 of 3 nodes/);
    assert.match(await fleet.anyhop(['fleet', 'status']), /v4-over-v4\/web-3 +up +1 of 3: edge-1/);
    assert.equal((await status(1)).readiness.ready, true);
  });

  test('makes a node not ready that alone sees more than half of a pool down, until it sees it', async () => {
    await blind(1, BACKENDS[0]!.host4);
    await eventually('not ready', async () => !(await status(1)).readiness.ready);
    assert.deepEqual((await status(1)).readiness.reasons, [
      `this node sees 2 of 3 backends of the pool ${POOL} down, which most nodes of its fleet see up`,
    ]);
    assert.equal((await backend(1, 1)).health, 'up');
    await heal(1, BACKENDS[0]!.host4);
    await eventually('ready again', async () => (await status(1)).readiness.ready);
  });

  test('takes a backend down for all, at once, when the second of three sees it down', async () => {
    const before = said(2, 'health', 3, 'down').length;
    await blind(2, BACKENDS[2]!.host4);
    await eventually('down for all', async () =>
      [1, 2, 3].every((edge) => said(edge, 'health_agreed', 3, 'down').length > 0),
    );
    const sawIt = said(2, 'health', 3, 'down')[before]!;
    const times = [1, 2, 3].map((edge) => said(edge, 'health_agreed', 3, 'down')[0]!);
    const ms = times.map(({ time }) => Date.parse(String(time)) - Date.parse(String(sawIt['time'])));
    assert.ok(Math.max(...ms) < AGREED_MS, `agreed after ${ms.join(', ')} ms`);
    const { health, healthReason } = await backend(3, 3);
    assert.equal(health, 'down');
    assert.equal(healthReason, '2 of 3 nodes see it down (edge-1, edge-2), and this one does not');
    const digests = await Promise.all(
      [1, 2, 3].map(async (edge) => (await status(edge)).pools[0]!.digests.owners),
    );
    assert.equal(new Set(digests).size, 1);
  });

  test('is the own view of a node that is cut off from the store, and the former one of the others', async () => {
    await blind(3, fleet.store.host4);
    await eventually('up by its own view', async () => (await backend(3, 3)).health === 'up', ALONE_MS);
    for (const edge of [1, 2]) assert.notEqual((await backend(edge, 3)).health, 'up');
    assert.equal((await status(3)).readiness.ready, true);
  });
});
