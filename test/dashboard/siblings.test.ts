/** Dashboards of a fleet behind their real listeners: they ask one another over mutual TLS, and strangers get nothing. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { askedSiblings } from '#anyhop/cli/fleet-siblings.js';
import { Secret } from '#anyhop/config/secret.js';
import { createLog } from '#anyhop/core/log.js';
import type { Sibling } from '#anyhop/dashboard/asked-node.js';
import { Store } from '#anyhop/dashboard/page/store.js';
import { dashboardPages } from '#anyhop/dashboard/pages.js';
import type { NodeCard, Update } from '#anyhop/dashboard/wire.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { Listener } from '#anyhop/web/listener.js';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { Resources } from '../../scripts/lab/resources.js';
import { type FakeNode, fakeNode } from '../api/fake-node.js';
import { statusOf } from './fake-fleet.js';

const SIZE = { pools: 1, backendsPerPool: 3 };
const LATE_MS = 20_000;

describe('dashboards of a fleet', () => {
  const resources = new Resources();
  const nodes: FakeNode[] = [];
  const listeners: Listener[] = [];
  const file = (name: string): string => join(resources.directory, name);

  const metricsOf = (name: string) => ({
    listen: { address: parseAddress('127.0.0.1')!, port: 0 },
    tls: {
      certificate: new Secret(readFileSync(file(`${name}.pem`))),
      authorities: new Secret(readFileSync(file('ca.pem'))),
    },
    login: { user: 'anyhop', password: new Secret(Buffer.from('pass:word')) },
  });

  async function start(name: string, siblings: readonly Sibling[] = [], more: object = {}): Promise<number> {
    const node = await fakeNode({ status: async () => ({ ...statusOf(SIZE, 0, name), ...more }) });
    nodes.push(node);
    return new Promise((resolve) => {
      listeners.push(
        new Listener(metricsOf(name), {
          log: createLog('silent'),
          collect: () => [],
          pages: dashboardPages({ name, socket: node.socket, siblings }),
          listening: resolve,
        }),
      );
    });
  }

  before(async () => {
    const authority = await createAuthority(resources.directory);
    for (const name of ['edge-1', 'edge-2', 'edge-3', 'edge-5', 'thief'])
      await authority.peerCertificate(file(`${name}.pem`), [name]);
  });
  after(async () => {
    await Promise.all(listeners.map((each) => each.close()));
    await Promise.all(nodes.map((each) => each.close()));
    await resources.close();
  });

  it('tell siblings which revision of their fleet is in force, and believe nobody else', async () => {
    const address = parseAddress('127.0.0.1')!;
    const [second, thief] = [await start('edge-2'), await start('thief')];
    const asked = askedSiblings({
      metrics: metricsOf('edge-1'),
      siblings: [
        { name: 'edge-2', address: { address, port: second } },
        { name: 'edge-4', address: { address, port: thief } },
      ],
    });
    assert.deepEqual(JSON.parse(await asked[0]!.ask()), { number: 7, record: '{}' });
    await assert.rejects(asked[1]!.ask(), /edge-4/);
  });

  it('show what siblings say, and mark one that is silent, one that is somebody else, and one that says too much', async () => {
    const host = '127.0.0.1';
    const [second, thief] = [await start('edge-2'), await start('thief')];
    const talker = await start('edge-5', [], { lists: Array(1_000_000).fill([]) });
    const port = await start('edge-1', [
      { name: 'edge-2', host, port: second },
      { name: 'edge-3', host, port: 1 },
      { name: 'edge-4', host, port: thief },
      { name: 'edge-5', host, port: talker },
    ]);
    const store = new Store();
    const card = (name: string): NodeCard | undefined => store.get<NodeCard>(`node/${name}`);
    await read(port, file('edge-1.pem'), (update) => {
      store.apply(update);
      return (
        card('edge-2')?.state === 'ready' &&
        card('edge-4')!.reasons.length > 0 &&
        // On a busy machine a first answer comes too late to be read, and is asked for again.
        card('edge-5')!.reasons.some((reason) => reason.includes('values'))
      );
    });
    assert.deepEqual(card('edge-2')?.detail?.backends, { up: 3, draining: 0, down: 0 });
    assert.equal(card('edge-3')?.state, 'unknown');
    assert.match(card('edge-3')?.reasons[0] ?? '', /connection refused/);
    assert.match(card('edge-4')?.reasons[0] ?? '', /certificate/);
    assert.match(card('edge-5')?.reasons[0] ?? '', /more than 1000000 values/);
  });

  it('answer nobody who has no certificate of the fleet', async () => {
    await assert.rejects(
      read(await start('edge-3'), undefined, () => true),
      /certificate|socket|ECONNRESET/i,
    );
  });

  /** Reads a stream until `isEnough`. @param certificate undefined for none */
  function read(
    port: number,
    certificate: string | undefined,
    isEnough: (update: Update) => boolean,
  ): Promise<void> {
    const own = certificate === undefined ? undefined : readFileSync(certificate);
    return new Promise((resolve, reject) => {
      const asked = get({
        host: '127.0.0.1',
        port,
        path: '/api/stream',
        rejectUnauthorized: false,
        auth: 'anyhop:pass:word',
        agent: false,
        timeout: LATE_MS,
        ...(own && { cert: own, key: own }),
      });
      asked.on('timeout', () => asked.destroy(new Error('the stream says nothing')));
      asked.on('error', reject);
      asked.on('response', (response) => {
        let text = '';
        response.on('data', (part: Buffer) => {
          text += part;
          const lines = text.split('\n');
          text = lines.pop()!;
          const updates = lines.filter((line) => line.startsWith('data: '));
          if (!updates.some((line) => isEnough(JSON.parse(line.slice(6)) as Update))) return;
          response.on('error', () => undefined);
          response.destroy();
          resolve();
        });
      });
    });
  }
});
