/** `anyhop top --siblings`: a fleet as one of its forwarders sees it, over mutual TLS. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Secret } from '#anyhop/config/secret.js';
import { createLog } from '#anyhop/core/log.js';
import { dashboardPages } from '#anyhop/dashboard/pages.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { Listener } from '#anyhop/web/listener.js';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { Resources } from '../../scripts/lab/resources.js';
import { fakeNode } from '../api/fake-node.js';
import { anyhop } from '../cli/client.js';
import { nodeStatus } from '../node/node-status.js';

test('siblings answer over TLS beside the node itself, one that does not is silent, and the node is not asked twice', async () => {
  const resources = new Resources();
  const file = (name: string): string => join(resources.directory, name);
  const status = (node: string) => async () => nodeStatus({ node });
  const [first, second] = [
    await fakeNode({ status: status('edge-1') }),
    await fakeNode({ status: status('edge-2') }),
  ];
  let listener: Listener | undefined;
  try {
    const authority = await createAuthority(resources.directory);
    for (const name of ['edge-1', 'edge-2']) await authority.peerCertificate(file(`${name}.pem`), [name]);
    const port = await new Promise<number>((listening) => {
      listener = new Listener(
        {
          listen: { address: parseAddress('127.0.0.1')!, port: 0 },
          tls: {
            certificate: new Secret(readFileSync(file('edge-2.pem'))),
            authorities: new Secret(readFileSync(file('ca.pem'))),
          },
          login: undefined,
        },
        {
          log: createLog('silent'),
          collect: () => [],
          pages: dashboardPages({ name: 'edge-2', socket: second.socket, siblings: [] }),
          listening,
        },
      );
    });
    const config = (siblings: readonly object[]): string => {
      const path = file('fleet.yaml');
      // YAML reads JSON. The name of the node is not in it: it is found by its socket.
      const node = {
        key: '00'.repeat(32),
        metrics: { certificate: 'edge-1.pem', ca_file: 'ca.pem' },
        siblings,
      };
      const pools = { web: { backends: [{ name: 'web-1', address: '10.1.0.11' }] } };
      const services = [{ name: 'http', vip: '203.0.113.10', protocol: 'tcp', port: 80, pool: 'web' }];
      writeFileSync(path, JSON.stringify({ node, pools, services }), { mode: 0o600 });
      return path;
    };
    const fleet = config([
      { name: 'edge-1', address: '127.0.0.1:2' },
      { name: 'edge-2', address: `127.0.0.1:${port}` },
      { name: 'edge-3', address: '127.0.0.1:1' },
    ]);
    const shown = await anyhop(['top', '--json', '--siblings', '-c', fleet, '--socket', first.socket]);
    assert.deepEqual([shown.code, shown.stderr], [0, '']);
    const { nodes, summary } = JSON.parse(shown.stdout);
    assert.deepEqual(
      nodes.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`),
      ['edge-1 ready', 'edge-2 ready', 'edge-3 unknown'],
    );
    assert.deepEqual(summary.nodes, { total: 3, answering: 2, ready: 2 });
    assert.match(nodes[2].reasons[0], /refused/);

    const alone = await anyhop(['top', '--siblings', '-c', config([]), '--socket', first.socket]);
    assert.equal(alone.code, 2);
    assert.match(alone.stderr, /names no siblings of this node/);
  } finally {
    await listener?.close();
    await first.close();
    await second.close();
    await resources.close();
  }
});
