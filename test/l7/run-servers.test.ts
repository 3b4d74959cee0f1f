/** Servers of an upstream, drained and weighted by command, while clients use them. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { eventually, ProxyHost, SERVER_PORT, serverAddress, withoutProxyHost } from './run-fixture.js';

describe('a server of an upstream', { skip: withoutProxyHost, timeout: 300_000 }, () => {
  let host: ProxyHost;
  let cookies = '';
  before(async () => {
    host = await ProxyHost.create();
    await host.startServers(2);
    cookies = join(host.resources.directory, 'cookies');
  });
  beforeEach(async () => {
    const servers = [1, 2].map((n) => ({ name: `s${n}`, address: serverAddress(n), port: SERVER_PORT }));
    const shop = { balance: 'round_robin', sticky: { cookie: 'SRV' }, panic_threshold: '50%', servers };
    host.configure({ drain_deadline: '3s', upstreams: { shop } });
    await host.start();
  });
  afterEach(async () => {
    await host.kill();
    rmSync(cookies, { force: true });
    rmSync(host.runDirectory, { recursive: true, force: true }); // what was said of servers
  });
  after(() => host?.close());

  /** Who answers. */
  const ask = async (sticky = false): Promise<string> => {
    const { status, headers } = await host.get('/', sticky ? { cookies } : {});
    assert.equal(status, 200);
    return headers.find(([name]) => name === 'x-backend')![1];
  };
  const asked = async (count: number): Promise<Record<string, number>> => {
    const by: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const name = await ask();
      by[name] = (by[name] ?? 0) + 1;
    }
    return by;
  };

  it('keeps its sticky clients while it is drained, and gets no others', async () => {
    const held = await ask(true);
    const other = held === 's1' ? 's2' : 's1';
    assert.equal((await host.l7('drain', `shop/${held}`)).code, 0);
    assert.equal(await ask(true), held);
    assert.deepEqual(await asked(6), { [other]: 6 });
    const { active, usable, panic } = await host.upstream();
    assert.deepEqual([active, usable, panic], [1, 1, false]);
    assert.match((await host.l7('status')).stdout, new RegExp(`^${held} .* draining, up `, 'm'));
    assert.equal((await host.l7('undrain', `shop/${held}`)).code, 0);
    assert.deepEqual(await asked(6), { s1: 3, s2: 3 });
  });

  it('gets as many requests as its weight says', async () => {
    assert.equal((await host.l7('weight', 'shop/s2', '3')).code, 0);
    assert.deepEqual(await asked(8), { s1: 2, s2: 6 });
    assert.equal((await host.l7('weight', 'shop/s2', '0')).code, 0);
    assert.deepEqual(await asked(4), { s1: 4 });
  });

  it('is drained when its last request has ended, which can be waited for', async () => {
    const slow = host.get('/drip?bytes=20&interval=100', { timeoutMs: 20_000 });
    const name = await eventually('a request', async () => {
      const { servers } = await host.upstream();
      return servers.find(({ sessions }) => sessions === 1)?.name;
    });
    const { code, stdout, stderr } = await host.l7('drain', `shop/${name}`, '--wait');
    assert.deepEqual([code, stdout], [0, `shop/${name}: 0 requests left\n`]);
    assert.match(stderr, new RegExp(`^shop/${name}: 1 request left$`, 'm'));
    assert.equal((await slow).status, 200);
  });

  it('is not waited for longer than the deadline, and not when it is undrained', async () => {
    const slow = host.get('/drip?bytes=150&interval=100', { timeoutMs: 30_000 });
    const name = await eventually('a request', async () => {
      const { servers } = await host.upstream();
      return servers.find(({ sessions }) => sessions === 1)?.name;
    });
    const late = await host.l7('drain', `shop/${name}`, '--wait');
    assert.deepEqual([late.code, late.stdout], [1, `shop/${name}: 1 request left\n`]);
    assert.match(late.stderr, /requests are left at the deadline/);
    const waiting = host.l7('drain', `shop/${name}`, '--wait');
    await eventually('it waits', async () => (await host.server(name)).state === 'draining');
    await host.l7('undrain', `shop/${name}`);
    const { code, stderr } = await waiting;
    assert.equal(code, 1);
    assert.match(stderr, /the drain was taken back|requests are left/);
    assert.equal((await slow).status, 200, 'nothing is cut off');
  });
});
