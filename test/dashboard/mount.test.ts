/** What the dashboard answers behind its listener, to those who ask as they should and to those who do not. */
import assert from 'node:assert/strict';
import { get, type IncomingMessage, request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { createLog } from '#anyhop/core/log.js';
import { dashboardPages } from '#anyhop/dashboard/pages.js';
import { WATCHERS_MAX } from '#anyhop/dashboard/watchers.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { Listener } from '#anyhop/web/listener.js';
import { type FakeNode, fakeNode } from '../api/fake-node.js';
import { statusOf } from './fake-fleet.js';

describe('the dashboard behind a listener on loopback', () => {
  let node: FakeNode;
  let listener: Listener;
  let port: number;

  before(async () => {
    node = await fakeNode({ status: async () => statusOf({ pools: 1, backendsPerPool: 2 }) });
    port = await new Promise((resolve) => {
      listener = new Listener(
        { listen: { address: parseAddress('127.0.0.1')!, port: 0 }, tls: undefined, login: undefined },
        {
          log: createLog('silent'),
          collect: () => [],
          pages: dashboardPages({ name: 'edge-1', socket: node.socket, siblings: [] }),
          listening: resolve,
        },
      );
    });
  });
  after(async () => {
    await listener.close();
    await node.close();
  });

  async function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, resolve);
      asked.on('error', reject).end();
    });
    let text = '';
    for await (const part of response) text += part;
    return { status: response.statusCode, headers: response.headers, text };
  }

  it('has one page that allows nothing but itself', async () => {
    const { status, headers, text } = await ask('/');
    assert.equal(status, 200);
    assert.match(String(headers['content-security-policy']), /^default-src 'none'; script-src 'self';/);
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.doesNotMatch(text, /https?:|style=|<script(?! type="module" src="\/)/);
  });

  it('answers a page of a foreign name nothing, whatever it resolves to', async () => {
    for (const path of ['/', '/api/stream', '/api/node'])
      assert.equal((await ask(path, { host: `evil.example:${port}` })).status, 421, path);
  });

  it('takes no change', async () => {
    for (const method of ['POST', 'PUT', 'DELETE'])
      assert.equal((await ask('/api/node', {}, method)).status, 405, method);
    assert.deepEqual(node.told, []);
  });

  it('tells siblings its status and its events, a line each', async () => {
    const { status, headers, text } = await ask('/api/node');
    assert.equal(status, 200, text);
    assert.equal(headers['content-type'], 'application/x-ndjson; charset=utf-8');
    assert.equal(
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)).length,
      2,
    );
    assert.equal(
      (await ask('/api/slots?pool=none')).headers['content-type'],
      'application/json; charset=utf-8',
    );
  });

  it('has the modules of the page, compressed, and no others of the program', async () => {
    const { text } = await ask('/');
    const modules = [...text.matchAll(/modulepreload" href="([^"]+)"/g)].map(([, path]) => path!);
    assert.ok(modules.includes('/dashboard/page/main.js') && modules.includes('/core/figures.js'));
    for (const path of modules) {
      const plain = await ask(path);
      const etag = plain.headers.etag ?? '';
      assert.equal(plain.headers['content-type'], 'text/javascript; charset=utf-8');
      assert.equal((await ask(path, { 'if-none-match': etag })).status, 304);
      assert.equal((await ask(path, { 'accept-encoding': 'gzip' })).headers['content-encoding'], 'gzip');
      assert.doesNotMatch(plain.text, /from '(?!\.)/, `${path} needs nothing but files beside it`);
    }
    for (const path of ['/main.js', '/core/own-file.js', '/dashboard/page/../../main.js', '/dashboard/page/'])
      assert.equal((await ask(path)).status, 404, path);
  });

  it('says what is missing in words', async () => {
    const pool = await ask('/api/slots?pool=none');
    assert.equal(pool.status, 404);
    assert.match(pool.text, /there is no pool none/);
    assert.equal((await ask('/api/elsewhere')).status, 404);
  });

  it(`lets ${WATCHERS_MAX} browsers watch, and tells the next one why it may not`, async () => {
    const open = await Promise.all(
      Array.from({ length: WATCHERS_MAX }, () => {
        return new Promise<IncomingMessage>((resolve) => {
          get({ host: '127.0.0.1', port, path: '/api/stream', agent: false }, resolve);
        });
      }),
    );
    const late = await ask('/api/stream');
    assert.equal(late.status, 429);
    assert.match(late.text, /16 browsers watch already/);
    for (const each of open) {
      each.on('error', () => undefined);
      each.destroy();
    }
  });
});
