/** The node's interface gets another MAC address while it forwards, as a bond does that fails over: on each engine. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { flows } from '../engine/contract-frames.js';
import { createLink, LINK, letXdpArrive } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { NODE_MAC } from '../packets/build.js';
import { FLAGS, sendFlows, startRun, writeFleet } from './run-fixture.js';

const OTHER_MAC = '02:00:00:00:77:01';
const NEWS_TIMEOUT_MS = 10_000;

describe('a node whose interface gets another MAC address', {
  skip: missingForIsolation('nft', 'ethtool'),
  concurrency: true,
}, () => {
  for (const engine of ['xdp', 'af_xdp', 'portable'] as const) {
    test(`takes frames for it from then on, and no longer those for the former one: ${engine}`, async (t) => {
      const link = await createLink();
      t.after(() => link.resources.close());
      if (engine !== 'portable') await letXdpArrive(link);
      const setMac = (mac: string): Promise<string> =>
        link.onNode('ip', 'link', 'set', 'dev', LINK, 'address', mac);
      await setMac(OTHER_MAC);
      const file = writeFleet(link, { node: { engine, bpffs: link.resources.bpffs() } });
      const run = await startRun(link, ['-c', file, ...FLAGS]);
      assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 0, gre6: 0 }, 'frames for another machine');
      await setMac(NODE_MAC);
      const deadline = performance.now() + NEWS_TIMEOUT_MS;
      while (!run.events.some(({ event, generation }) => event === 'published' && Number(generation) > 1)) {
        assert.ok(performance.now() < deadline, 'a new image is published');
        await delay(50);
      }
      // Next hops change as well, one image after the other perhaps.
      await delay(300);
      assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 20, gre6: 0 });
      await run.stop('SIGINT');
    });
  }
});
