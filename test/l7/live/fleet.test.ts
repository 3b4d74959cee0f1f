/** What a client gets from one proxy host holds at the others: its server by a cookie, and its TLS session. Nobody else's key reads either. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { type CurlAnswer, headerOf } from '../../../scripts/lab/l7/curl.js';
import type { OddServer } from '../../../scripts/lab/l7/odd.js';
import {
  eventually,
  NAME,
  ProxyHost,
  SERVER_PORT,
  serverAddress,
  VIP4,
  withoutProxyHost,
} from '../run-fixture.js';
import { type Relay, startRelay } from './relay.js';
import { connectTls } from './tls.js';

const OTHER_KEY = 'fedcba9876543210'.repeat(4);
const SERVERS = [1, 2, 3];
/** Of a frontend that asks for client certificates. */
const GUARDED_PORT = 8443;

/** A proxy host with servers of its own, which have the names and addresses of the others'. */
interface Member {
  readonly host: ProxyHost;
  readonly relay: Relay;
  readonly servers: readonly OddServer[];
}

describe('over a fleet', { skip: withoutProxyHost, timeout: 180_000 }, () => {
  let first: Member;
  let second: Member;
  /** Of another fleet: its subkey is another one. */
  let stranger: Member;
  const hosts: ProxyHost[] = [];

  const configure = (
    host: ProxyHost,
    { key, numbers = SERVERS, idle = '60s' }: { key?: string; numbers?: readonly number[]; idle?: string },
  ) => {
    const servers = numbers.map((number) => ({
      name: `s${number}`,
      address: serverAddress(number),
      port: SERVER_PORT,
    }));
    const upstream = {
      balance: 'round_robin',
      sticky: { cookie: 'SRV' },
      retries: 2,
      slow_start: '0s',
      servers,
    };
    const health = { kind: 'tcp', interval: '300ms', timeout: '300ms', rise: 1, fall: 1 };
    const routes = [{ path: '/other', to: 'other' }, { to: 'shop' }];
    const certificates = host.certificates;
    host.configure({
      ...(key !== undefined && { key }),
      frontends: {
        web: { services: ['https', 'https6'], certificates, idle_timeout: idle, routes },
        guarded: { services: ['spare'], certificates, clients: { ca_file: host.authority.file }, routes },
      },
      upstreams: { shop: { ...upstream, health }, other: { ...upstream, health: { kind: 'none' } } },
    });
  };
  const start = async (key?: string): Promise<Member> => {
    const host = await ProxyHost.create();
    hosts.push(host);
    const servers = await host.startServers(SERVERS.length);
    configure(host, { ...(key !== undefined && { key }) });
    await host.start();
    return { host, servers, relay: await startRelay(host.resources, host.namespace) };
  };
  before(async () => {
    [first, second, stranger] = await Promise.all([start(), start(), start(OTHER_KEY)]);
  });
  after(() => Promise.all(hosts.map((host) => host.close())));

  const get = ({ host }: Member, cookie?: string, path = '/'): Promise<CurlAnswer> =>
    host.get(path, cookie === undefined ? {} : { headers: [`Cookie: ${cookie}`] });
  const serverOf = (answer: CurlAnswer) => headerOf(answer, 'x-backend')!;
  const cookieOf = (answer: CurlAnswer) => headerOf(answer, 'set-cookie')?.split(';')[0];
  /** The cookie of each server, by its name, as a proxy host gives them out. */
  const cookies = async (member: Member, path = '/'): Promise<ReadonlyMap<string, string>> => {
    const found = new Map<string, string>();
    await eventually('a cookie of every server', async () => {
      const answer = await get(member, undefined, path);
      found.set(serverOf(answer), cookieOf(answer)!);
      return found.size === SERVERS.length;
    });
    return found;
  };

  describe('a sticky cookie', () => {
    it('leads to the same server at every proxy host of the fleet, and needs no other there', async () => {
      for (const [server, cookie] of await cookies(first))
        for (const member of [first, second, second, first]) {
          const answer = await get(member, `a=b; ${cookie}; c=d`);
          assert.equal(serverOf(answer), server);
          assert.equal(cookieOf(answer), undefined);
          const seen: { headers: [string, string][] } = JSON.parse(answer.body);
          assert.deepEqual(
            seen.headers.filter(([name]) => name === 'cookie'),
            [['cookie', 'a=b; c=d']],
          );
        }
    });

    it('says nothing of its server, and another key and another upstream have other values for it', async () => {
      const [own, same, foreign] = await Promise.all(
        [first, second, stranger].map((member) => cookies(member)),
      );
      const other = await cookies(first, '/other');
      assert.deepEqual(own, same);
      const values = [own!, foreign!, other].flatMap((map) => [...map.values()]);
      assert.equal(new Set(values).size, 3 * SERVERS.length);
      for (const value of values) assert.match(value, /^SRV=[0-9a-f]{16}$/);
    });

    it('of another fleet, or made up, does no harm: the client gets a server and a right cookie', async () => {
      const own = new Set((await cookies(first)).values());
      const [foreign] = (await cookies(stranger)).values();
      for (const cookie of [
        foreign!,
        ...['SRV=', 'SRV=s1', 'SRV=10.2.0.1:8080', 'SRV=0', 'SRV=0000000000000000', 'SRV=%00', 'SRV="'],
        ...[
          `SRV=${'f'.repeat(4000)}`,
          'SRV=\x80\xff',
          'SRV',
          'SRV=a~b|c',
          'srv=1; SRV=;;=;SRV=x',
          "SRV=' OR 1=1",
        ],
      ]) {
        const answer = await get(first, cookie);
        assert.equal(answer.status, 200, cookie);
        assert.ok(own.has(cookieOf(answer)!), `${cookie}: ${cookieOf(answer)}`);
      }
    });

    it('survives a reload', async () => {
      const before_ = await cookies(first);
      configure(first.host, { idle: '50s' });
      assert.equal((await first.host.l7('reload')).stdout, 'in force by a reload\n');
      for (const [server, cookie] of before_) assert.equal(serverOf(await get(first, cookie)), server);
    });

    it('of a server that is down or gone leads to another one', async () => {
      const all = await cookies(second);
      const cookie = all.get('s3')!;
      configure(second.host, { numbers: [1, 2] });
      await second.host.l7('reload');
      const gone = await get(second, cookie);
      assert.notEqual(serverOf(gone), 's3');
      assert.equal(cookieOf(gone), all.get(serverOf(gone)));
      configure(second.host, {});
      await second.host.l7('reload');
      assert.equal(serverOf(await get(second, cookie)), 's3');
      second.servers[2]!.process.kill();
      // At once: the request is sent to another server when this one refuses the connection.
      const down = await get(second, cookie);
      assert.equal(down.status, 200);
      assert.equal(cookieOf(down), all.get(serverOf(down)));
    });
  });

  describe('a TLS session', () => {
    const certificate = async ({ host }: Member): Promise<ConnectionOptions> => {
      const file = join(host.resources.directory, 'client.pem');
      await host.authority.clientCertificate(file, 'a client');
      const pem = readFileSync(file);
      return { cert: pem, key: pem };
    };
    /** Makes a request; the session is the one for the next time. */
    const visit = async (
      { host, relay }: Member,
      port: number,
      options: ConnectionOptions,
    ): Promise<{ readonly session: Buffer; readonly reused: boolean }> => {
      const target = { address: VIP4, port, ca: host.authority.file, serverName: NAME };
      // Each proxy host of the test has an authority of its own.
      const socket = await connectTls(relay, {
        ...target,
        options: { rejectUnauthorized: false, ...options },
      });
      let session = socket.getSession() ?? Buffer.alloc(0);
      socket.on('session', (newer) => (session = newer));
      const reused = socket.isSessionReused();
      socket.write(`GET / HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n\r\n`);
      const [bytes] = await once(socket, 'data');
      assert.match(String(bytes), /^HTTP\/1\.1 200 /);
      socket.resume();
      await once(socket, 'end');
      socket.destroy();
      return { session, reused };
    };
    const versions = (['TLSv1.2', 'TLSv1.3'] as const).map((version) => ({
      minVersion: version,
      maxVersion: version,
    }));

    it('is resumed at every proxy host of the fleet, and after a reload, but not elsewhere', async () => {
      for (const version of versions) {
        const { session, reused } = await visit(first, 443, version);
        assert.equal(reused, false);
        for (const member of [first, second, first])
          assert.equal((await visit(member, 443, { ...version, session })).reused, true, version.minVersion);
        assert.equal((await visit(stranger, 443, { ...version, session })).reused, false, version.minVersion);
        configure(first.host, { idle: version.minVersion === 'TLSv1.2' ? '40s' : '30s' });
        assert.equal((await first.host.l7('reload')).stdout, 'in force by a reload\n');
        assert.equal((await visit(first, 443, { ...version, session })).reused, true, version.minVersion);
      }
    });

    it('of a client without a certificate opens no frontend that asks for one', async () => {
      for (const version of versions) {
        const { session } = await visit(first, 443, version);
        await assert.rejects(visit(first, GUARDED_PORT, { ...version, session }), version.minVersion);
        const shown = { ...version, ...(await certificate(first)) };
        const guarded = await visit(first, GUARDED_PORT, shown);
        assert.equal((await visit(first, GUARDED_PORT, { ...shown, session: guarded.session })).reused, true);
        await assert.rejects(visit(first, GUARDED_PORT, { ...version, ...(await certificate(second)) }));
      }
    });
  });
});
