/** Siblings that the doctor asks over mutual TLS: one that agrees, and some that do not. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { parseConfig } from '#anyhop/config/load.js';
import { Secret } from '#anyhop/config/secret.js';
import { createLog } from '#anyhop/core/log.js';
import { dashboardPages } from '#anyhop/dashboard/pages.js';
import { siblings } from '#anyhop/doctor/checks/siblings.js';
import { Facts } from '#anyhop/doctor/facts.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { Listener } from '#anyhop/web/listener.js';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { Resources } from '../../scripts/lab/resources.js';
import { type FakeNode, fakeNode } from '../api/fake-node.js';
import { statusOf } from '../dashboard/fake-fleet.js';
import { recordedHost } from './recorded-host.js';

const LOOPBACK = parseAddress('127.0.0.1')!;
const SIZE = { pools: 2, backendsPerPool: 3 };
const CONFIG = `
node: {name: edge-1, interface: eth0, source: 10.0.0.1, key: 00112233445566778899aabbccddeeff}
pools: {web: {backends: [{name: web-1, address: 10.1.0.11, agent: false}]}}
services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]
`;

describe('the check of siblings', () => {
  const resources = new Resources();
  const nodes: FakeNode[] = [];
  const listeners: Listener[] = [];
  const own = statusOf(SIZE, 0, 'edge-1');
  const pem = (name: string): Secret => new Secret(readFileSync(join(resources.directory, `${name}.pem`)));

  before(async () => {
    const authority = await createAuthority(resources.directory);
    for (const name of ['edge-1', 'edge-2'])
      await authority.peerCertificate(join(resources.directory, `${name}.pem`), [name]);
  });
  after(async () => {
    await Promise.all(listeners.map((each) => each.close()));
    await Promise.all(nodes.map((each) => each.close()));
    await resources.close();
  });

  /** @returns its port */
  async function start(status: NodeStatus): Promise<number> {
    const node = await fakeNode({ status: async () => status });
    nodes.push(node);
    return new Promise((resolve) => {
      listeners.push(
        new Listener(
          {
            listen: { address: LOOPBACK, port: 0 },
            tls: { certificate: pem('edge-2'), authorities: pem('ca') },
            login: undefined,
          },
          {
            log: createLog('silent'),
            collect: () => [],
            pages: dashboardPages({ name: 'edge-2', socket: node.socket, siblings: [] }),
            listening: resolve,
          },
        ),
      );
    });
  }

  async function found(port: number, name = 'edge-2'): Promise<string[]> {
    const config = parseConfig(CONFIG, 'a.yaml', { role: 'run', env: {} });
    const node = {
      ...config.node,
      siblings: [{ name, address: { address: LOOPBACK, port } }],
      metrics: {
        listen: { address: LOOPBACK, port: 9612 },
        tls: { certificate: pem('edge-1'), authorities: pem('ca') },
        login: undefined,
      },
    };
    const facts = new Facts(recordedHost('forwarder'), {
      where: 'forwarder',
      name: 'edge-1',
      config: { ...config, node },
      interface: 'eth0',
      targets: [],
      status: async () => own,
    });
    return (await siblings.run(facts)).map(({ level, saw }) => `${level}: ${saw}`);
  }

  it('has nothing to say of one that agrees', async () => {
    assert.deepEqual(await found(await start(statusOf(SIZE, 0, 'edge-2'))), []);
  });

  it('names another secret, and nothing that follows from it', async () => {
    const [finding = '', ...others] = await found(
      await start({ ...own, keyFingerprint: '0123456789abcdef', version: '9.9.9' }),
    );
    assert.match(finding, /^error: the sibling edge-2 has another secret/);
    assert.deepEqual(others, []);
  });

  it('names other owners and another version', async () => {
    const [first, ...rest] = own.pools;
    const pools = [{ ...first!, digests: { ...first!.digests, owners: 'another' } }, ...rest];
    const text = (await found(await start({ ...own, version: '9.9.9', pools }))).join('\n');
    assert.match(text, new RegExp(`warning: the sibling edge-2 has other owners in ${first!.name} `));
    assert.match(text, /note: the sibling edge-2 runs version 9\.9\.9/);
  });

  it('names one that is silent, and one whose certificate is for somebody else', async () => {
    assert.match(
      (await found(1)).join(),
      /^warning: the sibling edge-2 at 127\.0\.0\.1:1 does not answer: connection refused/,
    );
    assert.match(
      (await found(await start(own), 'edge-9')).join(),
      /^warning: the sibling edge-9 .* does not answer: .*certificate/i,
    );
  });
});
