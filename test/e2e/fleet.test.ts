/** A fleet whose config comes from etcd: real stores, forwarders and agents in namespaces. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { makeOtherBuild } from '../../scripts/demo-fleet/other-build.js';
import { fourMixes, type LabService } from '../../scripts/lab/config.js';
import { createLabFleet, type LabFleet } from '../../scripts/lab/fleet.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { backendAddresses, VIP4 } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 300_000;
const WAIT_MS = 15_000;
const BACKENDS = [1, 2, 3].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));

describe('a fleet', {
  skip: missingForLab(['etcd', 'etcdctl'])?.message ?? false,
  timeout: TIMEOUT_MS,
}, () => {
  let lab: Lab;
  let fleet: LabFleet;
  const forwarders: LabProcess[] = [];
  const agents: LabProcess[] = [];
  let port = 30_000;

  before(async () => {
    const [service] = fourMixes(BACKENDS) as [LabService];
    lab = await createLab({
      forwarders: 2,
      backends: 3,
      engine: 'xdp',
      services: [{ ...service, secondChance: 'on' }],
      pool: { settle_time: '1s' },
    });
    fleet = await createLabFleet(lab);
    fleet.change(({ pools }) => pools['v4-over-v4'].backends.pop());
    for (const index of [0, 1]) forwarders.push(await fleet.startForwarder(index, { until: 'fleet_waits' }));
    for (const index of [0, 1, 2]) agents.push(await fleet.startAgent(index, { until: 'fleet_waits' }));
  });
  after(() => lab?.close());

  const status = async (index: number) =>
    (await ask(join(dirname(fleet.file), `edge-${index + 1}.sock`), '/status')) as NodeStatus;
  const digests = async () =>
    (await Promise.all([0, 1].map(status))).map(({ pools }) => pools[0]!.digests.owners);
  const answers = async () => {
    port += 100;
    const requests = getRequests(VIP4, HTTP_PORTS[0], { count: 30, firstSourcePort: port });
    return (await lab.request({ requests, concurrency: 8, timeoutMs: 5_000 })).map(({ backend }) => backend);
  };
  test('waits for its first revision, and serves by it everywhere', async () => {
    const said = await fleet.anyhop(['fleet', 'apply', fleet.file, '-m', 'first']);
    assert.match(said, /revision 1 is in force on 5 members/);
    await Promise.all(
      [...forwarders, ...agents.slice(0, 2)].map((each) => each.waitForEvent('ready', WAIT_MS)),
    );
    assert.equal(new Set(await digests()).size, 1);
    assert.deepEqual([...new Set(await answers())].sort(), ['web-1', 'web-2']);
  });

  test('adds a backend everywhere by one command, and breaks no connection', async () => {
    fleet.change(({ pools }) =>
      pools['v4-over-v4'].backends.push({ name: 'web-3', address: BACKENDS[2]!.host4 }),
    );
    assert.match(await fleet.anyhop(['fleet', 'apply', fleet.file]), /revision 2 is in force on 5 members/);
    assert.equal(new Set(await digests()).size, 1);
    await agents[2]!.waitForEvent('ready', WAIT_MS);
    assert.deepEqual([...new Set(await answers())].sort(), ['web-1', 'web-2', 'web-3']);
  });

  test('drains a backend everywhere, in the text that the operator wrote', async () => {
    const text = await fleet.anyhop(['fleet', 'export']);
    assert.match(await fleet.anyhop(['drain', 'web-3']), /revision 3 is in force on 5 members/);
    assert.equal(new Set(await digests()).size, 1);
    const after = await fleet.anyhop(['fleet', 'export']);
    assert.equal(after.replace(/\n.*state: draining/, ''), text);
  });

  test('withdraws a node of another build, names it, and moves no slot anywhere for a change that it refuses', async () => {
    const program = makeOtherBuild(join(dirname(fleet.file), 'other'));
    await forwarders[1]!.stop('SIGTERM');
    forwarders[1] = await fleet.startForwarder(1, { program, until: 'not_ready' });
    const { ready, reasons } = (await status(1)).readiness;
    assert.equal(ready, false);
    assert.match(reasons.join(), /its tables are others here .* another build than the operator's/);
    const [before] = await digests();
    fleet.change(({ pools }) => {
      pools['v4-over-v4'].backends[0].weight = 3;
    });
    await assert.rejects(
      fleet.anyhop(['fleet', 'apply', fleet.file]),
      /not taken by 1 of 5 members; nothing was changed\n.*forwarder\/edge-2: its tables are others here/,
    );
    assert.equal((await digests())[0], before);
    await forwarders[1]!.stop('SIGTERM');
    forwarders[1] = await fleet.startForwarder(1);
    assert.match(await fleet.anyhop(['fleet', 'apply', fleet.file]), /is in force on 5 members/);
    assert.equal(new Set(await digests()).size, 1);
  });

  test('lets one of two operators win, and tells the other who was first', async () => {
    const both = await Promise.allSettled(
      [4, 5].map(async (weight) => {
        const file = join(dirname(fleet.file), `weight-${weight}.yaml`);
        const text = readFileSync(fleet.file, 'utf8');
        writeFileSync(file, text.replace('weight: 3', `weight: ${weight}`));
        return await fleet.anyhop(['fleet', 'apply', file, '-m', `weight ${weight}`]);
      }),
    );
    const [won, lost] = ['fulfilled', 'rejected'].map((as) => both.filter(({ status }) => status === as));
    assert.deepEqual([won!.length, lost!.length], [1, 1]);
    const { reason } = lost![0] as PromiseRejectedResult;
    assert.match(
      String(reason),
      /revision \d+ by .* \("weight \d"\) (is being prepared|came in between); nothing was changed/,
    );
    assert.equal(new Set(await digests()).size, 1);
  });
});
