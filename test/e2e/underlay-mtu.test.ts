/** A link between router and backend with a smaller MTU than the forwarder's own: the router says so, and is believed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import type { EngineChoice } from '#anyhop/config/types.js';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { createLab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const NARROW = 1400;
const TIMEOUT_MS = 90_000;

for (const engine of NODE_ENGINES) {
  test(
    `uploads complete on ${engine} when a link between router and backend takes less than the forwarder's`,
    { skip: missingForLab()?.message ?? false, timeout: TIMEOUT_MS },
    () => uploadAll(engine),
  );
}

async function uploadAll(engine: EngineChoice): Promise<void> {
  const lab = await createLab({ forwarders: 1, backends: 2, engine });
  try {
    await lab.startAll();
    // The router's port only: nobody but the router knows.
    await lab.exec(lab.router, ['ip', 'link', 'set', lab.backends[0].name, 'mtu', String(NARROW)]);
    const requests = [VIP4, VIP6].flatMap((host) =>
      HTTP_PORTS.flatMap((port) =>
        [20_000, 20_001, 20_002, 20_003].map((sourcePort) => ({
          host,
          port,
          path: '/upload',
          sourcePort,
          uploadBytes: 1_000_000,
        })),
      ),
    );
    const answers = await lab.request({ requests, concurrency: 8, timeoutMs: 20_000 });
    assert.deepEqual(
      answers.map(({ error }) => error),
      requests.map(() => null),
    );
    const status = (await ask(lab.socket(0), '/status')) as NodeStatus;
    const ways = status.pools.flatMap(({ backends }) =>
      backends.map(({ address, nextHop }) => ({ address, nextHop })),
    );
    assert.ok(ways.length > 0);
    for (const { address, nextHop } of ways) {
      assert.ok('mtu' in nextHop, `${address} has a next hop`);
      const isNarrow = [lab.backends[0].host4, lab.backends[0].host6].includes(address);
      assert.equal(nextHop.mtu, isNarrow ? NARROW : 1600, address);
      assert.equal(nextHop.learned?.routeMtu, isNarrow ? 1600 : undefined, address);
    }
  } finally {
    await lab.close();
  }
}
