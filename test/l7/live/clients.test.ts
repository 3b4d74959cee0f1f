/** Which TLS clients may speak, and how often they may ask. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import type { ConnectionOptions, SecureVersion } from 'node:tls';
import { MasterCli } from '#anyhop/l7/haproxy/master.js';
import { haproxySockets } from '#anyhop/l7/render/rendering.js';
import { headerOf } from '../../../scripts/lab/l7/curl.js';
import {
  eventually,
  NAME,
  ProxyHost,
  SERVER_PORT,
  serverAddress,
  VIP4,
  VIP6,
  withoutProxyHost,
} from '../run-fixture.js';
import { Client } from './client.js';
import { converse } from './converse.js';
import { type Relay, startRelay } from './relay.js';
import { connectTls } from './tls.js';

/** Of the frontend with a limit. */
const LIMITED_PORT = 8443;
const LIMIT = 5;
const CLIENTS4 = ['192.0.2.1', '192.0.2.2'] as const;
const CLIENTS6 = { one: '2001:db8:1:1::1', sameNet: '2001:db8:1:1:ffff::2', otherNet: '2001:db8:1:2::1' };
const THUMBPRINT = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG';

describe('clients', { skip: withoutProxyHost, timeout: 180_000 }, () => {
  let host: ProxyHost;
  let relay: Relay;

  const configure = (idle: string) => {
    const routes = [{ to: 'shop' }];
    const { certificates } = host;
    const limit = { client_rate: { requests: LIMIT, per: '60s' }, hsts: '1h' };
    host.configure({
      acme: { thumbprint: THUMBPRINT },
      frontends: {
        web: { services: ['https', 'https6'], certificates, routes, idle_timeout: idle },
        limited: { services: ['spare', 'spare6'], certificates, routes, ...limit },
      },
      upstreams: {
        shop: {
          health: { kind: 'none' },
          servers: [{ name: 's1', address: serverAddress(1), port: SERVER_PORT }],
        },
      },
    });
  };
  before(async () => {
    host = await ProxyHost.create();
    await host.certify('z-other.pem', ['other.example.net']);
    const addresses = [
      ...CLIENTS4.map((address) => `${address}/32`),
      ...Object.values(CLIENTS6).map((address) => `${address}/128`),
    ];
    for (const address of addresses)
      execFileSync('ip', ['-n', host.namespace, 'addr', 'add', address, 'dev', 'lo']);
    await host.startServer(1);
    configure('60s');
    await host.start();
    relay = await startRelay(host.resources, host.namespace);
  });
  after(() => host?.close());

  describe('that speak TLS', () => {
    const connect = (options: ConnectionOptions, alpn?: readonly string[]) =>
      connectTls(relay, {
        ...{ address: VIP4, port: 443, ca: host.authority.file, serverName: NAME, options },
        ...(alpn && { alpn }),
      });

    it('need version 1.2 or 1.3', async () => {
      const version = (name: SecureVersion) => ({
        ...{ minVersion: name, maxVersion: name },
        ciphers: 'ALL:@SECLEVEL=0',
      });
      for (const name of ['TLSv1.2', 'TLSv1.3'] as const) {
        const socket = await connect(version(name));
        assert.equal(socket.getProtocol(), name);
        socket.destroy();
      }
      for (const name of ['TLSv1', 'TLSv1.1'] as const)
        await assert.rejects(connect(version(name)), /alert protocol version/i, name);
    });

    it('need a cipher with forward secrecy and authentication', async () => {
      const cipher = (name: string) =>
        ({ maxVersion: 'TLSv1.2', ciphers: `${name}:@SECLEVEL=0` }) satisfies ConnectionOptions;
      for (const name of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305']) {
        const socket = await connect(cipher(name));
        assert.equal(socket.getCipher().name, name);
        socket.destroy();
      }
      const weak = ['AES128-SHA', 'AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384'];
      for (const name of [...weak, 'AECDH-AES128-SHA', 'ADH-AES128-GCM-SHA256'])
        await assert.rejects(connect(cipher(name)), /alert handshake failure/i, name);
    });

    it('get HTTP/2 when they know it', async () => {
      for (const [offered, chosen] of [
        [['h2', 'http/1.1'], 'h2'],
        [['http/1.1', 'h2'], 'h2'],
        [['http/1.1'], 'http/1.1'],
        [['spdy/3', 'http/1.1'], 'http/1.1'],
      ] as const) {
        const socket = await connect({}, offered);
        assert.equal(socket.alpnProtocol, chosen, offered.join());
        socket.destroy();
      }
    });

    it('get the certificate of the name that they ask for, and the first one for others', async () => {
      for (const [name, subject] of [
        [NAME, NAME],
        ['SHOP.Example.COM', NAME],
        ['any.example.com', NAME],
        ['other.example.net', 'other.example.net'],
        ['unknown.example.org', NAME],
        ['', NAME],
      ] as const) {
        const socket = await connect({ servername: name, checkServerIdentity: () => undefined });
        assert.equal(socket.getPeerCertificate().subject.CN, subject, name);
        socket.destroy();
      }
    });

    it('get no answer without it on the same port', async () => {
      const socket = await relay.connect({ address: VIP4, port: 443 });
      const { text, wasClosed } = await converse(socket, `GET / HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`);
      assert.deepEqual([text.includes('HTTP'), wasClosed], [false, true]);
    });
  });

  describe('that ask too often', () => {
    /** Statuses of requests over one connection to the frontend with the limit. */
    const ask = async (from: string, count: number): Promise<number[]> => {
      const address = from.includes(':') ? VIP6 : VIP4;
      const target = { address, port: LIMITED_PORT, from, ca: host.authority.file, serverName: NAME };
      const client = new Client(() => connectTls(relay, target), true);
      const statuses: number[] = [];
      for (let i = 0; i < count; i++) statuses.push((await client.ask({ host: NAME })).status);
      client.close();
      return statuses;
    };
    /** Nothing while HAProxy reloads. */
    const told = (command: string): Promise<string> =>
      new MasterCli(haproxySockets(host.runDirectory).master).askWorker(command).catch(() => '');
    const fine = (count: number): number[] => Array.from({ length: count }, () => 200);
    const [limited, neighbour] = CLIENTS4;

    it('get 429, and their neighbours do not, through a reload too', async () => {
      assert.deepEqual(await ask(limited, LIMIT + 2), [...fine(LIMIT), 429, 429]);
      const get = (path: string) =>
        host.get('', { url: `https://${NAME}:${LIMITED_PORT}${path}`, options: ['--interface', limited] });
      const refused = await get('/');
      assert.deepEqual([refused.status, headerOf(refused, 'retry-after')], [429, '60']);
      assert.equal(headerOf(refused, 'strict-transport-security'), 'max-age=3600');
      assert.equal((await get('/.well-known/acme-challenge/x')).status, 200);
      assert.deepEqual(await ask(neighbour, LIMIT - 2), fine(LIMIT - 2));
      // Until then it would have taken them from a former worker, and does not give them to the next.
      await eventually('HAProxy has its counts for 5 s', async () =>
        (await told('show peers')).includes('resync_timeout=<PAST>'),
      );
      configure('50s');
      assert.equal((await host.l7('reload')).stdout, 'in force by a reload\n');
      await eventually('the new worker has the counts', async () =>
        (await told('show table t_limited')).includes(limited),
      );
      assert.deepEqual(await ask(limited, 1), [429]);
      assert.deepEqual(await ask(neighbour, 3), [200, 200, 429]);
    });

    it('over IPv6 share their limit with their /64, and with nobody else', async () => {
      const { one, sameNet, otherNet } = CLIENTS6;
      assert.deepEqual(await ask(one, LIMIT - 1), fine(LIMIT - 1));
      assert.deepEqual(await ask(sameNet, 2), [200, 429]);
      assert.deepEqual(await ask(one, 1), [429]);
      assert.deepEqual(await ask(otherNet, 1), [200]);
    });
  });
});
