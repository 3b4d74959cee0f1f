/**
 * The way of a request through the lab with layer 7: forwarders, GRE, proxy hosts that have the VIPs on lo, servers behind them. The
 * proxies run a plain HAProxy with a config written here by hand, so what fails here is the lab, or layer 4.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { type CurlRequest, curl, headerOf } from '../../scripts/lab/l7/curl.js';
import { createL7Lab, L7_TOOLS, type L7Lab, UPSTREAM_PORT } from '../../scripts/lab/l7/lab.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { leftovers } from '../../scripts/lab/names.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 60_000;
const LISTEN_TIMEOUT_MS = 15_000;
const NAMES = ['shop.example.com', 'api.example.com'];

/** Over IPv4 to the first server, over IPv6 to the second. */
function haproxyConfig(lab: L7Lab, certificate: string): string {
  const [first, second] = lab.upstreamServers;
  return `
global
  user haproxy
  group haproxy
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend web
  bind ${VIP4}:443 ssl crt ${certificate} alpn h2,http/1.1
  bind ${VIP6}:443 ssl crt ${certificate} alpn h2,http/1.1
  http-after-response set-header x-proxy %[env(PROXY)]
  use_backend six if { dst ${VIP6} }
  default_backend four
backend four
  cookie SRV insert indirect
  server ${first!.name} ${first!.host4}:${UPSTREAM_PORT} cookie one
backend six
  server ${second!.name} [${second!.host6}]:${UPSTREAM_PORT}
`;
}

describe('the lab with layer 7', {
  skip: missingForLab(L7_TOOLS)?.message ?? false,
}, () => {
  let lab: L7Lab;
  let ca: string;

  before(
    async () => {
      lab = await createL7Lab({ forwarders: 2, proxies: 2, servers: ['shop-1', 'shop-2'] });
      const { directory } = lab.resources;
      const authority = await createAuthority(directory);
      ca = authority.file;
      const certificate = join(directory, 'web.pem');
      await authority.serverCertificate(certificate, NAMES);
      const config = join(directory, 'haproxy.cfg');
      writeFileSync(config, haproxyConfig(lab, certificate));
      await lab.startAll();
      for (const { name, namespace } of lab.proxies) {
        const argv = ['env', `PROXY=${name}`, 'haproxy', '-db', '-f', config];
        await lab.resources.startProcess(`haproxy ${name}`, namespace, argv);
        await listening(namespace);
      }
    },
    { timeout: TIMEOUT_MS },
  );
  after(() => lab?.close(), { timeout: TIMEOUT_MS });

  async function listening(namespace: string): Promise<void> {
    const deadline = Date.now() + LISTEN_TIMEOUT_MS;
    while (!(await lab.exec(namespace, ['ss', '-Hltn', 'sport', '=', ':443'])).includes(':443')) {
      assert.ok(Date.now() < deadline, 'HAProxy does not listen');
      await delay(50);
    }
  }

  const fetch = (request: CurlRequest) => curl({ ca, ...request }, lab.client.namespace);

  for (const { version, vip, server } of [
    { version: 'IPv4', vip: VIP4, server: 'shop-1' },
    { version: 'IPv6', vip: VIP6, server: 'shop-2' },
  ])
    test(`HTTPS requests over ${version} reach a server through both proxies, over HTTP/1.1 and HTTP/2`, {
      timeout: TIMEOUT_MS,
    }, async () => {
      for (const http of ['1.1', '2'] as const) {
        const proxies = new Set<string | undefined>();
        // Each connection has its own port, and so one of the two by chance.
        for (let i = 0; i < 100 && proxies.size < 2; i++) {
          const answer = await fetch({ url: 'https://shop.example.com/v1/x', address: vip, http });
          assert.deepEqual([answer.error, answer.status, answer.httpVersion], [null, 200, http]);
          assert.deepEqual([headerOf(answer, 'x-backend'), answer.body], [server, `${server}\n`]);
          proxies.add(headerOf(answer, 'x-proxy'));
        }
        assert.deepEqual([...proxies].sort(), ['proxy-1', 'proxy-2']);
      }
    });

  test('the connections pass the forwarders as GRE to the proxies, and nothing for a server passes a forwarder', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const captures = await Promise.all(lab.forwarders.map((host) => lab.capture(host)));
    for (let i = 0; i < 8; i++) await fetch({ url: 'https://shop.example.com/', address: VIP4 });
    await Promise.all(captures.map((capture) => capture.stop()));
    const decoded = async (filter: string): Promise<number> => {
      const packets = await Promise.all(captures.map((capture) => capture.decode(filter)));
      return packets.flat().length;
    };
    assert.notEqual(await decoded('ip proto 47 and net 10.1.0.0/16'), 0, 'no GRE to a proxy');
    assert.equal(await decoded('net 10.2.0.0/16'), 0, 'a packet for a server');
  });

  test('a large answer comes whole, and one that is uploaded arrives', { timeout: TIMEOUT_MS }, async () => {
    for (const address of [VIP4, VIP6]) {
      const large = await fetch({ url: 'https://shop.example.com/large', address, http: '2' });
      assert.deepEqual([large.status, large.body.length], [200, 256 * 1024]);
      const url = 'https://shop.example.com/upload';
      const upload = await fetch({ url, address, body: 'x'.repeat(100_000) });
      assert.deepEqual([upload.error, upload.status], [null, 200]);
    }
  });

  test('a client with a cookie jar brings back the cookie that it got', { timeout: TIMEOUT_MS }, async () => {
    const cookies = join(lab.resources.directory, 'cookies');
    const url = 'https://shop.example.com/';
    const [first, second, stranger] = [
      await fetch({ url, address: VIP4, cookies }),
      await fetch({ url, address: VIP4, cookies, http: '2' }),
      await fetch({ url, address: VIP4 }),
    ];
    assert.match(headerOf(first, 'set-cookie')!, /^SRV=one;/);
    assert.equal(headerOf(second, 'set-cookie'), undefined);
    assert.match(headerOf(stranger, 'set-cookie')!, /^SRV=one;/);
  });

  test('a client that does not trust the authority, or asks for another name, gets no answer', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const other = join(lab.resources.directory, 'other');
    mkdirSync(other);
    const stranger = await createAuthority(other, 'stranger');
    const url = 'https://shop.example.com/';
    assert.equal((await fetch({ url, address: VIP4, ca: stranger.file })).exitCode, 60);
    assert.equal((await fetch({ url: 'https://bank.example.com/', address: VIP4 })).exitCode, 60);
  });

  test('a server is broken, stopped and started again on demand', { timeout: TIMEOUT_MS }, async () => {
    const [server] = lab.upstreamServers;
    const status = async (): Promise<number> =>
      (await fetch({ url: 'https://shop.example.com/', address: VIP4 })).status;
    server!.setBroken(true);
    assert.equal(await status(), 500);
    server!.setBroken(false);
    assert.equal(await status(), 200);
    await server!.nginx.stop();
    assert.equal(await status(), 503);
    await server!.start();
    assert.equal(await status(), 200);
  });
});

test('closing the lab with layer 7 leaves nothing', {
  skip: missingForLab()?.message ?? false,
  timeout: TIMEOUT_MS,
}, async () => {
  const lab = await createL7Lab({ forwarders: 1, proxies: 1, servers: ['shop-1'] });
  assert.notDeepEqual(leftovers(lab.name), []);
  await lab.close();
  assert.deepEqual(leftovers(lab.name), []);
});
