/** Path MTU discovery through the fleet: the commonest complaint about layer-4 load balancers is a black hole here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineChoice } from '#anyhop/config/types.js';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { createLab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS, LARGE_BYTES } from '../../scripts/lab/nginx.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const CLIENT_MTU = 1500;
const TIMEOUT_MS = 60_000;

for (const engine of NODE_ENGINES) {
  test(
    `large uploads and downloads complete on ${engine} when full-sized packets do not fit once wrapped`,
    {
      skip: missingForLab()?.message ?? false,
      timeout: TIMEOUT_MS,
    },
    () => transferAll(engine),
  );
}

async function transferAll(engine: EngineChoice): Promise<void> {
  // No room for GRE around a packet of 1500 bytes.
  const lab = await createLab({ forwarders: 2, backends: 1, engine, underlayMtu: CLIENT_MTU });
  try {
    await lab.startAll();
    const requests = [VIP4, VIP6].flatMap((host) =>
      HTTP_PORTS.flatMap((port) => [
        { host, port, path: '/upload', sourcePort: 20_000, uploadBytes: 1_000_000 },
        { host, port, path: '/large', sourcePort: 20_001, uploadBytes: 0 },
      ]),
    );
    const answers = await lab.request({ requests, concurrency: 8, timeoutMs: 8_000 });
    assert.deepEqual(
      answers.map(({ error }) => error),
      requests.map(() => null),
    );
    assert.equal(answers.filter(({ bytes }) => bytes === LARGE_BYTES).length, requests.length / 2);
    for (const vip of [VIP4, VIP6]) {
      const route = await lab.exec(lab.client.namespace, ['ip', 'route', 'get', vip]);
      const learned = Number(/\bmtu (\d+)/.exec(route)?.[1]);
      // Outer IPv6 (40) and GRE with key (8) at most.
      assert.ok(
        learned >= CLIENT_MTU - 48 && learned < CLIENT_MTU,
        `the client learned no path MTU: ${route}`,
      );
    }
  } finally {
    await lab.close();
  }
}
