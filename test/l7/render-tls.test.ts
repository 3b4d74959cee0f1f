/** TLS of a rendered HAProxy towards clients: which certificate, which versions, who may resume a session, and who may connect. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { run } from '../../scripts/lab/command.js';
import { curl, headerOf } from '../../scripts/lab/l7/curl.js';
import { temporaryRun, withoutHaproxy } from './haproxy-fixture.js';
import { loadL7, SERVER_NET } from './render-fixture.js';
import { exchange, startProxy, startServer, type TestProxy, type TestServer } from './render-live.js';

const HOUR_MS = 3_600_000;
const ROUTES = [{ to: 'shop' }];

describe('TLS of a rendered HAProxy', { skip: withoutHaproxy }, () => {
  let place: ReturnType<typeof temporaryRun>;
  let directory: string;
  let authority: Authority;
  let server: TestServer;
  let proxy: TestProxy;
  const now = Date.now();
  const proxies: TestProxy[] = [];

  before(async () => {
    place = temporaryRun();
    directory = dirname(place.run);
    for (const folder of ['a', 'b']) mkdirSync(join(directory, folder));
    authority = await createAuthority(directory);
    await authority.serverCertificate(join(directory, 'a', '1 first.pem'), ['first.example.com']);
    await authority.serverCertificate(join(directory, 'a', '2.pem'), ['*.shop.example.com']);
    await authority.serverCertificate(join(directory, 'b', 'x.pem'), ['first.example.com']);
    await authority.clientCertificate(join(directory, 'client.pem'), 'a client');
    server = await startServer((_, response) => response.end('hello'));
    proxy = await start(now);
  });
  after(async () => {
    for (const one of proxies) await one.stop();
    await server?.close();
    place.remove();
  });

  /** @param more of the frontend `web` */
  async function start(at: number, more: object = {}): Promise<TestProxy> {
    const config = loadL7(
      {
        frontends: {
          web: {
            services: ['https', 'https6'],
            certificates: 'a',
            redirect_from: ['http'],
            hsts: '365d',
            routes: ROUTES,
            ...more,
          },
          guarded: {
            services: ['ports'],
            certificates: 'b',
            clients: { ca_file: 'ca.pem' },
            routes: ROUTES,
          },
        },
        upstreams: {
          shop: {
            health: { kind: 'none' },
            servers: [{ name: 'shop-1', address: `${SERVER_NET}.1`, port: 8080 }],
          },
        },
      },
      directory,
    );
    const started = await startProxy(config, { servers: [server], now: new Date(at) });
    proxies.push(started);
    return started;
  }

  /** What openssl says of a connection that asks for `/`. */
  const connectTo = (to: TestProxy, configured: number, options: readonly string[]): Promise<string> =>
    run(
      [
        ...['openssl', 's_client', '-connect', `${to.address}:${to.port(configured)}`, '-ign_eof'],
        ...['-CAfile', authority.file, ...options],
      ],
      { input: 'GET / HTTP/1.1\r\nHost: first.example.com\r\nConnection: close\r\n\r\n', mayFail: true },
    );

  it('shows the certificate for the name, and the first in name order for others', async () => {
    for (const [name, subject] of [
      ['first.example.com', 'first.example.com'],
      ['x.shop.example.com', '\\*.shop.example.com'],
      ['unknown.example.com', 'first.example.com'],
    ]) {
      const output = await connectTo(proxy, 443, ['-servername', name!]);
      assert.match(output, new RegExp(`subject=CN = ${subject}\\n`), name);
    }
  });

  it('speaks HTTP/2 and HTTP/1.1, tells browsers to stay with https, and logs version and name', async () => {
    for (const http of ['1.1', '2'] as const) {
      const url = `https://first.example.com:${proxy.port(443)}/versions`;
      const answer = await curl({ url, http, address: proxy.address, ca: authority.file });
      assert.equal(answer.exitCode, 0, answer.error ?? '');
      assert.equal(answer.httpVersion, http);
      assert.equal(answer.body, 'hello');
      assert.equal(headerOf(answer, 'strict-transport-security'), `max-age=${365 * 86_400}`);
      const forwarded = server.asked().at(-1)!.headers;
      assert.equal(forwarded['x-forwarded-proto'], 'https');
      assert.match(String(forwarded['forwarded']), /^for=127[0-9.]+;proto=https$/);
    }
    for (const { tls, sni } of await proxy.entriesWith('/versions', 2))
      assert.deepEqual({ tls, sni }, { tls: 'TLSv1.3', sni: 'first.example.com' });
  });

  it('refuses TLS 1.1, and ciphers without forward secrecy', async () => {
    const weak = ['-cipher', 'ALL:@SECLEVEL=0'];
    assert.match(await connectTo(proxy, 443, ['-tls1_2', ...weak]), /New, TLSv1\.2, Cipher is ECDHE/);
    for (const options of [
      ['-tls1_1', ...weak],
      ['-tls1_2', '-cipher', 'AES128-SHA:AES256-GCM-SHA384:@SECLEVEL=0'],
    ])
      assert.match(await connectTo(proxy, 443, options), /Cipher is \(NONE\)/, options[0]);
  });

  it('asks for a client certificate where the config wants one, and only there', async () => {
    const url = `https://first.example.com:${proxy.port(8000)}/`;
    const options = { url, address: proxy.address, ca: authority.file };
    const without = await curl(options);
    assert.notEqual(without.exitCode, 0);
    const stranger = await createAuthority(directory, 'stranger');
    await stranger.clientCertificate(join(directory, 'stranger-client.pem'), 'a stranger');
    const wrong = await curl({ ...options, clientCertificate: join(directory, 'stranger-client.pem') });
    assert.notEqual(wrong.exitCode, 0);
    const right = await curl({ ...options, clientCertificate: join(directory, 'client.pem') });
    assert.equal(right.body, 'hello', right.error ?? '');
    const entries = await proxy.entriesWith('"frontend":"guarded"', 3);
    for (const { tls, sni } of entries.filter(({ path }) => path === '/'))
      assert.deepEqual({ tls, sni }, { tls: 'TLSv1.3', sni: 'first.example.com' });
  });

  it('lets a client resume its session at another proxy host, and an hour later, but not after two', async () => {
    const [second, later, tooLate] = await Promise.all(
      [0, HOUR_MS, 2 * HOUR_MS].map((ms) => start(now + ms)),
    );
    for (const [port, more] of [
      [443, []],
      [8000, ['-cert', join(directory, 'client.pem'), '-key', join(directory, 'client.pem')]],
    ] as const)
      for (const version of ['-tls1_2', '-tls1_3']) {
        const session = join(directory, `session${port}${version}`);
        const ask = (to: TestProxy, option: string) =>
          connectTo(to, port, [version, '-servername', 'first.example.com', ...more, option, session]);
        assert.match(await ask(proxy, '-sess_out'), /^New, TLS/m);
        assert.match(await ask(second!, '-sess_in'), /^Reused, TLS/m, `${version} at another proxy, ${port}`);
        assert.match(await ask(later!, '-sess_in'), /^Reused, TLS/m, `${version} an hour later, ${port}`);
        assert.match(await ask(tooLate!, '-sess_in'), /^New, TLS/m, `${version} two hours later, ${port}`);
      }
  });

  it('lets no session in where a certificate is needed that was made without one, or by other authorities', async () => {
    const stranger = await createAuthority(directory, 'other');
    await stranger.clientCertificate(join(directory, 'other-client.pem'), 'another client');
    const guarded = await start(now, { clients: { ca_file: 'ca.pem' } });
    const others = await start(now, { clients: { ca_file: 'other.pem' } });
    const certificate = ['-cert', join(directory, 'client.pem'), '-key', join(directory, 'client.pem')];
    for (const [made, asked, port, more] of [
      [proxy, proxy, 8000, []],
      [proxy, guarded, 443, []],
      [guarded, others, 443, certificate],
    ] as const)
      for (const version of [['-tls1_2'], ['-tls1_2', '-no_ticket'], ['-tls1_3']]) {
        const session = join(directory, 'a session');
        const options = [...version, '-servername', 'first.example.com'];
        const first = await connectTo(made, 443, [...options, ...more, '-sess_out', session]);
        assert.match(first, /^New, TLS/m);
        assert.match(first, /^hello/m, first);
        const answer = await connectTo(asked, port, [...options, '-sess_in', session]);
        assert.doesNotMatch(answer, /^hello/m, `${version.join(' ')} ${port}`);
      }
  });

  it('answers plain HTTP with a redirect to the same place under https, for hosts that can be one', async () => {
    const ask = async (target: string, host: string) => {
      const head = host === '' ? '' : `Host: ${host}\r\n`;
      const bytes = Buffer.from(`GET ${target} HTTP/1.0\r\n${head}\r\n`, 'latin1');
      const answer = await exchange(proxy.address, proxy.port(80), bytes);
      return [answer.split(' ')[1], /^location: (.*)\r$/im.exec(answer)?.[1]];
    };
    const port = proxy.port(443);
    for (const [target, host, location] of [
      ['/', 'shop.example.com', `https://shop.example.com:${port}/`],
      ['/a//b/../?x=1&y=%2F', 'SHOP.example.com:80', `https://shop.example.com:${port}/a//b/../?x=1&y=%2F`],
      ['/', 'shop.example.com.', `https://shop.example.com:${port}/`],
      ['//evil.example/', 'localhost', `https://localhost:${port}//evil.example/`],
      ['http://a.example/x', 'a.example', `https://a.example:${port}/x`],
      ['/', '192.0.2.1', `https://192.0.2.1:${port}/`],
    ])
      assert.deepEqual(await ask(target!, host!), ['308', location], host);
    for (const host of [
      '',
      'a b',
      'a/b',
      'a@b',
      'a\\b',
      '-a',
      'a..b',
      'a"b',
      'a%0d%0ab',
      '[::1]',
      'a\xe9',
      '.a',
      `${'a.'.repeat(127)}a`,
    ])
      assert.deepEqual(await ask('/', host), ['400', undefined], host);
  });
});
