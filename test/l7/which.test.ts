/** The parts of `which --url`: how a request is read, which frontends take it, and which certificate its client gets. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AnyhopError } from '#anyhop/core/errors.js';
import { L7_WHICH_BYTES_MAX } from '#anyhop/core/limits.js';
import { certificateFor } from '#anyhop/l7/which/certificate.js';
import { type Connection, listenersFor, whyNone } from '#anyhop/l7/which/listeners.js';
import { readRequest } from '#anyhop/l7/which/request.js';
import { createAuthority } from '../../scripts/lab/certificates.js';
import { isInstalled } from '../isolation.js';
import { addressOf, loadL7, SERVER_NET } from './render-fixture.js';

describe('a request of a command line', () => {
  const path = (url: string) => readRequest(url, []).sent.path;
  const host = (url: string, ...lines: string[]) => readRequest(url, lines).sent.host;

  it('keeps path and query byte by byte', () => {
    for (const sent of [
      '/a/../b',
      '/./',
      '//a//b',
      '/%61%2F%7e',
      '/A?x=/../&y=?',
      '/a;b=c',
      '/"\\^`{|}',
      '/?',
    ])
      assert.equal(path(`https://shop.example.com${sent}`), sent);
    assert.equal(path('https://shop.example.com'), '/');
    assert.equal(path('https://shop.example.com?a=/b'), '/?a=/b');
    assert.equal(path('https://shop.example.com/http://other.example/'), '/http://other.example/');
  });

  it('has the port of the scheme, or that of the URL, which the host then has too', () => {
    const read = (url: string) => {
      const { scheme, host: name, port, isAddress, sent } = readRequest(url, []);
      return [scheme, name, port, isAddress, sent.host];
    };
    assert.deepEqual(read('https://a.example/'), ['https', 'a.example', 443, false, 'a.example']);
    assert.deepEqual(read('HTTP://A.Example.:80'), ['http', 'A.Example.', 80, false, 'A.Example.']);
    assert.deepEqual(read('http://a.example:443'), ['http', 'a.example', 443, false, 'a.example:443']);
    assert.deepEqual(read('https://192.0.2.1:8443/'), ['https', '192.0.2.1', 8443, true, '192.0.2.1:8443']);
    assert.deepEqual(read('https://[2001:DB8::1]/'), ['https', '2001:DB8::1', 443, true, '[2001:DB8::1]']);
    assert.deepEqual(read('http://[::1]:81/'), ['http', '::1', 81, true, '[::1]:81']);
  });

  it('has the headers in their order, and the host among them in the place of the URL’s', () => {
    const { sent } = readRequest('https://a.example:8443/', [
      'X-A:1',
      'Host:  B.example:1 ',
      'x-a: 2: 3\t',
      'x-b:',
    ]);
    assert.deepEqual(sent, {
      host: 'B.example:1',
      path: '/',
      headers: [
        { name: 'X-A', value: '1' },
        { name: 'x-a', value: '2: 3' },
        { name: 'x-b', value: '' },
      ],
    });
    assert.equal(host('https://a.example/', 'host:'), '');
    assert.equal(host('https://a.example/', 'host: b.example', 'HOST: B.example'), 'b.example');
    // As bytes, which HAProxy compares.
    assert.equal(host('https://a.example/', 'host: é'), '\xc3\xa9');
  });

  it('is refused with what is expected instead', () => {
    const cases: readonly (readonly [message: RegExp, url: string, ...lines: string[]])[] = [
      [/^found the URL "shop.example.com\/x"; expected https:\/\/HOST/, 'shop.example.com/x'],
      [/^found the URL "ftp:\/\/a\/"/, 'ftp://a/'],
      [/^found "" in the URL; expected a host/, 'https:///x'],
      [/^found "user@a.example" in the URL; expected a host/, 'https://user@a.example/'],
      [/^found "a.example\\\\b" in the URL/, 'https://a.example\\b'],
      [/^found "b\\u00fccher.example" in the URL/, 'https://bücher.example/'],
      [/^found "a.example:" in the URL/, 'https://a.example:/'],
      [/^found "\[192.0.2.1\]" in the URL; expected an IPv6 address/, 'https://[192.0.2.1]/'],
      [/^found the port 0 in the URL/, 'https://a.example:0/'],
      [/^found the port 65536 in the URL/, 'https://a.example:65536/'],
      [/^found "#" in the URL; HAProxy answers 400/, 'https://a.example/x#y'],
      [/^found " " in the URL; expected %20/, 'https://a.example/x y'],
      [/^found "\\u00e9" in the URL; expected %C3%A9/, 'https://a.example/é'],
      [/^found "\\u007f" in the URL; expected %7F/, 'https://a.example/\x7f'],
      [/^found the header "x-a 1"; expected "name: value"/, 'https://a.example/', 'x-a 1'],
      [/^found the header name "x a"; HAProxy answers 400/, 'https://a.example/', 'x a: 1'],
      [/^found the header name ""/, 'https://a.example/', ': 1'],
      [/expected one line a header/, 'https://a.example/', 'x-a: 1\r\nhost: b.example'],
      [/^found two host headers that differ; HAProxy answers 400/, 'https://a/', 'host: a', 'host: a:443'],
      [/^found the header "Content-Length"; expected none/, 'https://a.example/', 'Content-Length: 1'],
      [/^found an upgrade to WebSocket without/, 'https://a/', 'connection: upgrade', 'upgrade: websocket'],
      [/^found 100 headers beside host/, 'https://a/', ...Array.from({ length: 100 }, (_, i) => `x-${i}: 1`)],
      [
        /^found a request of \d+ bytes; expected 12288 at most/,
        `https://a/${'x'.repeat(L7_WHICH_BYTES_MAX)}`,
      ],
    ];
    for (const [message, url, ...lines] of cases)
      assert.throws(
        () => readRequest(url, lines),
        (error: AnyhopError) => {
          assert.match(error.message, message);
          return error.code === 'ERR_USAGE';
        },
        url,
      );
  });
});

const CONFIG = loadL7({
  key: undefined,
  frontends: {
    inner: { services: ['ports', 'ports6'], routes: [{ to: 'shop' }] },
    web: { services: ['http', 'http6'], routes: [{ to: 'shop' }] },
  },
  upstreams: { shop: { servers: [{ name: 'shop-1', address: `${SERVER_NET}.1`, port: 8080 }] } },
});
/** The same with TLS, which the loader takes only with certificates. */
const SECURE = {
  ...CONFIG,
  frontends: CONFIG.frontends.map((frontend) =>
    frontend.name === 'web'
      ? { ...frontend, certificates: '/nowhere', binds: bindsOf('https'), redirectBinds: frontend.binds }
      : frontend,
  ),
};

function bindsOf(name: string) {
  const [, web] = CONFIG.frontends;
  return web.binds.map((bind) => ({
    ...bind,
    service: bind.service.replace('http', name),
    portFirst: 443,
    portLast: 443,
  }));
}

function connection(scheme: 'http' | 'https', port: number, more: Partial<Connection> = {}): Connection {
  return { scheme, port, vip: undefined, family: undefined, ...more };
}

describe('the frontends that take a request', () => {
  const found = (wanted: Connection) =>
    listenersFor(SECURE, wanted).map(
      ({ frontend, speaks, binds }) => `${frontend.name} ${speaks} ${binds.map(({ service }) => service)}`,
    );

  it('are those with a service on the port that speaks the scheme', () => {
    assert.deepEqual(found(connection('https', 443)), ['web https https,https6']);
    assert.deepEqual(found(connection('http', 80)), ['web redirect http,http6']);
    for (const port of [8000, 8005, 8010])
      assert.deepEqual(found(connection('http', port)), ['inner http ports,ports6']);
    for (const port of [7999, 8011]) assert.deepEqual(found(connection('http', port)), []);
  });

  it('are those of the VIP, and of the family of the client', () => {
    assert.deepEqual(found(connection('https', 443, { family: 6 })), ['web https https6']);
    assert.deepEqual(found(connection('https', 443, { vip: addressOf('203.0.113.10') })), [
      'web https https',
    ]);
    assert.deepEqual(found(connection('http', 8000, { vip: addressOf('203.0.113.10') })), []);
  });

  it('may be several, in the order of the config', () => {
    const [inner, web] = SECURE.frontends;
    const binds = inner.binds.map((bind) => ({ ...bind, portFirst: 80, portLast: 80 }));
    const config = { ...SECURE, frontends: [web, { ...inner, binds }] };
    const names = listenersFor(config, connection('http', 80)).map(({ frontend }) => frontend.name);
    assert.deepEqual(names, ['web', 'inner']);
  });

  it('are none for a reason', () => {
    const why = (wanted: Connection) => whyNone(SECURE, wanted);
    assert.equal(
      why(connection('http', 443)),
      'no frontend takes http there: port 443 of frontend web speaks https',
    );
    assert.equal(
      why(connection('https', 8001)),
      'no frontend takes https there: port 8001 of frontend inner speaks http',
    );
    assert.equal(
      why(connection('http', 81)),
      'no frontend takes http on port 81: ports for it are 8000-8010, 80',
    );
    assert.equal(
      why(connection('https', 443, { vip: addressOf('203.0.113.99') })),
      'no frontend takes https on port 443 of 203.0.113.99: its VIPs there are 203.0.113.10, 2001:db8::10',
    );
    const onlyIpv4 = {
      ...SECURE,
      frontends: SECURE.frontends.map((one) => ({
        ...one,
        binds: one.binds.filter(({ vip }) => vip.family === 4),
      })),
    };
    assert.equal(
      whyNone(onlyIpv4, connection('https', 443, { family: 6 })),
      'no frontend takes https on port 443 of an IPv6 VIP, and the client is IPv6',
    );
    assert.equal(
      whyNone(CONFIG, connection('https', 444)),
      'no frontend takes https on port 444: none takes https at all',
    );
  });
});

describe('the certificate of a request', { skip: isInstalled('openssl') ? false : 'needs openssl' }, () => {
  let directory: string;
  let certs: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'anyhop-which-'));
    certs = join(directory, 'certs');
    mkdirSync(certs);
    const authority = await createAuthority(directory);
    await authority.serverCertificate(join(certs, 'a.pem'), ['*.example.com']);
    await authority.serverCertificate(join(certs, 'b.pem'), ['shop.example.com', 'example.com']);
  });
  after(() => rmSync(directory, { recursive: true }));

  const of = (url: string) => certificateFor(certs, readRequest(url, []));

  it('is that of the name before that of its wildcard, which stands for one label', () => {
    assert.deepEqual(of('https://SHOP.example.com./'), { file: join(certs, 'b.pem') });
    assert.deepEqual(of('https://other.example.com/'), { file: join(certs, 'a.pem') });
    assert.deepEqual(of('https://a.b.example.com/'), { file: null });
    assert.deepEqual(of('https://example.org/'), { file: null });
  });

  it('is not known of an address, nor as long as a file cannot be read', () => {
    assert.deepEqual(of('https://192.0.2.1/'), { unknown: 'the host of the URL is an address' });
    const broken = join(certs, 'c.pem');
    writeFileSync(broken, 'no certificate');
    chmodSync(broken, 0o600);
    try {
      const missing = of('https://example.org/') as { readonly unknown: string };
      assert.match(missing.unknown, /c\.pem": it has no certificate/);
      assert.deepEqual(of('https://example.com/'), { file: join(certs, 'b.pem') });
    } finally {
      rmSync(broken);
    }
    const none = certificateFor(join(directory, 'none'), readRequest('https://example.com/', []));
    assert.match((none as { readonly unknown: string }).unknown, /cannot be read: it does not exist/);
  });
});
