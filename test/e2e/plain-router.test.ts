/** A forwarder's place taken by a plain Linux router: what a forwarder's cost is measured against. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLab, missingForLab } from '../../scripts/lab/lab.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

test('a plain router in place of a forwarder leads all packets for the VIPs to one backend, unwrapped', {
  skip: missingForLab()?.message ?? false,
  timeout: 60_000,
}, async () => {
  const lab = await createLab({ forwarders: 1, backends: 2 });
  try {
    await lab.routePlainly(0, 1);
    const requests = [VIP4, VIP6].flatMap((vip) =>
      getRequests(vip, 80, { count: 10, firstSourcePort: 20_000 }),
    );
    const answers = await lab.request({ requests, concurrency: 8, timeoutMs: 3_000 });
    assert.deepEqual(new Set(answers.map(({ backend }) => backend)), new Set(['web-2']));
    const counters = await lab.counters();
    assert.equal(counters.get('web-2')!.gre, 0);
    assert.equal(counters.get('edge-1')!.syn, requests.length, 'the way does not lead over the forwarder');
  } finally {
    await lab.close();
  }
});
