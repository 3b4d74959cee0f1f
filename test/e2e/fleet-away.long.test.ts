/**
 * A fleet whose store is away: nothing is lost, also while every anyhop process is restarted, and changes work again when it is back.
 * FLEET_AWAY_SECONDS (20) is for how long:
 *
 *   FLEET_AWAY_SECONDS=600 node scripts/test.mjs e2e/fleet-away
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fourMixes, type LabService } from '../../scripts/lab/config.js';
import { createLabFleet, type LabFleet } from '../../scripts/lab/fleet.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { backendAddresses, VIP4 } from '../../scripts/lab/topology.js';

const AWAY_MS = Number(process.env['FLEET_AWAY_SECONDS'] ?? 20) * 1_000;
const WAIT_MS = 20_000;
const BACKENDS = [1, 2].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));

describe('a fleet whose store is away', {
  skip: missingForLab(['etcd'])?.message ?? false,
  timeout: AWAY_MS + 180_000,
}, () => {
  let lab: Lab;
  let fleet: LabFleet;
  let forwarders: LabProcess[];
  let agents: LabProcess[];

  before(async () => {
    const [service] = fourMixes(BACKENDS) as [LabService];
    lab = await createLab({
      forwarders: 2,
      backends: 2,
      engine: 'xdp',
      services: [{ ...service, secondChance: 'on' }],
    });
    fleet = await createLabFleet(lab);
    forwarders = await Promise.all(
      [0, 1].map((index) => fleet.startForwarder(index, { until: 'fleet_waits' })),
    );
    agents = await Promise.all([0, 1].map((index) => fleet.startAgent(index, { until: 'fleet_waits' })));
    await fleet.anyhop(['fleet', 'apply', fleet.file]);
    await Promise.all([...forwarders, ...agents].map((each) => each.waitForEvent('ready', WAIT_MS)));
  });
  after(() => lab?.close());

  /** Packets for the VIP that the router handed to forwarders, and packets that came from them to backends. */
  const packets = async (): Promise<{ in: number; out: number }> => {
    const sum = { in: 0, out: 0 };
    for (const [port, { toVip, gre }] of await lab.counters()) {
      if (port.startsWith('edge-')) sum.in += toVip;
      if (port.startsWith('web-')) sum.out += gre;
    }
    return sum;
  };

  test('loses no packet, also while every process is restarted, and takes changes when the store is back', async (t) => {
    const first = await packets();
    let port = 20_000;
    let isDone = false;
    let requests = 0;
    const load = (async () => {
      while (!isDone) {
        port = port > 50_000 ? 20_000 : port + 50;
        const plan = getRequests(VIP4, HTTP_PORTS[0], { count: 50, firstSourcePort: port });
        const answers = await lab.request({ requests: plan, concurrency: 4, timeoutMs: 5_000 });
        assert.equal(
          answers.filter(({ backend }) => backend === undefined).length,
          0,
          'every request is answered',
        );
        requests += answers.length;
      }
    })();
    const start = performance.now();
    fleet.etcd.kill();
    await Promise.all(
      [...forwarders, ...agents].map((each) => each.waitForEvent('fleet_store_away', WAIT_MS)),
    );
    for (const index of [0, 1]) {
      await forwarders[index]!.stop('SIGTERM');
      forwarders[index] = await fleet.startForwarder(index);
      await agents[index]!.stop('SIGTERM');
      agents[index] = await fleet.startAgent(index);
    }
    await delay(Math.max(0, AWAY_MS - (performance.now() - start)));
    const tookMs = performance.now() - start;
    await fleet.startStore();
    await Promise.all(
      [...forwarders, ...agents].map((each) => each.waitForEvent('fleet_store_back', WAIT_MS)),
    );
    fleet.change(({ pools }) => {
      pools['v4-over-v4'].backends[0].weight = 2;
    });
    assert.match(await fleet.anyhop(['fleet', 'apply', fleet.file]), /revision 2 is in force on 4 members/);
    isDone = true;
    await load;
    await delay(200);
    const last = await packets();
    const [came, went] = [last.in - first.in, last.out - first.out];
    t.diagnostic(
      `${requests} requests, ${came} packets, ${came - went} lost; the store was away for ${(tookMs / 1000).toFixed(0)} s`,
    );
    assert.ok(came > 1_000, 'there was a load');
    assert.equal(went, came, 'every packet for the VIP came to a backend');
  });
});
