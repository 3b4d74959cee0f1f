/** `anyhop l7 run` is killed: HAProxy serves on, and the next process takes its place without a lost request. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually, ProxyHost, SERVER_PORT, serverAddress, withoutProxyHost } from './run-fixture.js';

const TIMES = 3;

describe('anyhop l7 run that is killed', { skip: withoutProxyHost, timeout: 300_000 }, () => {
  let host: ProxyHost;
  before(async () => {
    host = await ProxyHost.create();
    await host.startServers(2);
    const servers = [1, 2].map((n) => ({ name: `s${n}`, address: serverAddress(n), port: SERVER_PORT }));
    host.configure({ upstreams: { shop: { servers } } });
    await host.start();
  });
  after(() => host?.close());

  it('leaves HAProxy serving, and the next one takes over under load on kept and on new connections', async () => {
    const kept = await host.load({ clients: 20, requestsPerSecond: 200 });
    const fresh = await host.load({ clients: 20, requestsPerSecond: 100, requestsPerConnection: 1 });
    for (let i = 0; i < TIMES; i++) {
      const before = host.haproxyPids();
      host.process.kill();
      await host.process.exited;
      assert.equal((await host.get()).status, 200);
      assert.deepEqual(host.haproxyPids(), before);
      await host.start();
      const [leftover] = host.logged('haproxy_leftover');
      assert.match(String(leftover?.['msg']), /was still there, and ends/);
      await eventually('the end of the former HAProxy', () =>
        before.every((pid) => !host.haproxyPids().includes(pid)),
      );
      assert.equal(host.haproxyPids().length, 2);
    }
    for (const load of [kept, fresh]) {
      const { failed, reasons, requests } = await load.stop();
      assert.deepEqual([failed, reasons], [0, {}]);
      assert.ok(requests > 200, `${requests}`);
    }
  });

  it('is followed by one that knows what was said of servers, and whose commands reach its own HAProxy', async () => {
    assert.equal((await host.l7('weight', 'shop/s1', '5')).code, 0);
    host.process.kill();
    await host.process.exited;
    await host.start();
    assert.equal((await host.server('s1')).weight, 5);
    assert.equal((await host.l7('drain', 'shop/s2')).code, 0);
    assert.equal((await host.server('s2')).state, 'draining');
    assert.equal((await host.status()).haproxy.restarts, 0);
  });
});
