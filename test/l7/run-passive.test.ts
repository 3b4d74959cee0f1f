/** Servers that fail requests while their checks pass: taken out although no client sees a failure, and brought back by their checks. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { OddServer } from '../../scripts/lab/l7/odd.js';
import {
  eventually,
  NAME,
  ProxyHost,
  SERVER_PORT,
  serverAddress,
  VIP4,
  withoutProxyHost,
} from './run-fixture.js';

const ERRORS = 10;
/** They pass whatever a server answers to requests. */
const HEALTH = { kind: 'tcp', interval: '1s', timeout: '500ms', rise: 5, fall: 2 };
const UPSTREAM = {
  balance: 'round_robin',
  health: HEALTH,
  passive: { errors: ERRORS },
  retries: 2,
  slow_start: '0s',
};

describe('a server that fails requests while its checks pass', {
  skip: withoutProxyHost,
  timeout: 300_000,
}, () => {
  let host: ProxyHost;
  let servers: OddServer[];
  before(async () => {
    host = await ProxyHost.create();
    servers = await host.startServers(3);
  });
  afterEach(async () => {
    for (const server of servers) server.setMode(null);
    await host.kill();
  });
  after(() => host?.close());

  async function start(upstream: object, count = 2): Promise<void> {
    const list = Array.from({ length: count }, (_, i) => ({
      name: `s${i + 1}`,
      address: serverAddress(i + 1),
      port: SERVER_PORT,
    }));
    host.configure({ upstreams: { shop: { ...UPSTREAM, ...upstream, servers: list } } });
    await host.start();
  }

  const isDown = (name: string): Promise<string> =>
    eventually(`${name} is down`, async () => {
      const { health, why } = await host.server(name);
      return health === 'down' && (why ?? '');
    });
  const isUp = (name: string): Promise<unknown> =>
    eventually(`${name} is up`, async () => (await host.server(name)).health === 'up');

  for (const mode of ['error', 'reset'] as const)
    it(`is taken out by the retries that it costs, and comes back (${mode})`, async () => {
      await start({});
      const load = await host.load({ requestsPerSecond: 50, clients: 5 });
      await eventually('answers of both', async () => {
        const { servers: all } = await host.upstream();
        return all.every(({ responses }) => responses['2xx']! > 5);
      });
      assert.equal(host.logged('l7_server_failing').length, 0);
      servers[0]!.setMode(mode);
      const why = await isDown('s1');
      const row = (await host.l7('status')).stdout;
      // HAProxy sees a reset too, and whoever counts enough first takes the server out. HAProxy forgets why as soon as a check passes.
      if (mode === 'reset' && !why.includes('in a row')) {
        assert.equal(host.logged('l7_server_failing').length, 0);
        assert.match(
          why,
          /^(HANA Detected \d+ consecutive errors, last one was: L4 unsuccessful connection|taken out)( \(\d\/5 checks\))?$/,
        );
      } else {
        assert.match(why, /^\d+ requests in a row failed/);
        const [line] = host.logged('l7_server_failing');
        assert.match(
          String(line!['msg']),
          /^shop\/s1 is taken out until its checks pass again: \d+ requests in a row/,
        );
        assert.ok(Number(line!['failures']) >= ERRORS);
        assert.match(row, /^s1 +\S+ +1 +DOWN .* \d+ requests in a row failed/m);
      }
      servers[0]!.setMode(null);
      await isUp('s1');
      const before = (await host.server('s1')).responses['2xx']!;
      await eventually('answers', async () => (await host.server('s1')).responses['2xx']! > before + 20);
      const { failed, reasons, requests } = await load.stop();
      assert.deepEqual([failed, reasons], [0, {}]);
      assert.ok(requests > 50);
    });

  for (const mode of ['error', 'reset'] as const)
    it(`is taken out for failures that clients see, slow as they come (${mode})`, async () => {
      await start({ health: { ...HEALTH, interval: '200ms', timeout: '200ms', rise: 20 } });
      servers[0]!.setMode(mode);
      const statuses: number[] = [];
      await eventually('it is taken out', async () => {
        statuses.push((await host.get('/', { method: 'POST' })).status);
        return host.logged('l7_server_failing').length > 0;
      });
      assert.match(await isDown('s1'), /^\d+ requests in a row failed/);
      const failed = statuses.filter((status) => status >= 500).length;
      assert.ok(failed >= ERRORS - 1, `${failed}`);
    });

  it('is taken out by HAProxy itself when nobody else is asked, and status has its words', async () => {
    // A check that passes ends HAProxy's count.
    await start({ health: { ...HEALTH, interval: '20s' } });
    servers[0]!.setMode('error');
    for (let failed = 0; failed < ERRORS; ) {
      const { status } = await host.get('/', { method: 'POST' });
      if (status === 500) failed++;
    }
    assert.match(await isDown('s1'), /Detected 10 consecutive errors/);
  });

  it('is asked again when too few are left, which is no reason to be not well', async () => {
    await start({ panic_threshold: '50%' }, 3);
    // A request is tried three times, and may meet the same two servers.
    const load = await host.load({ requestsPerSecond: 60, clients: 6 });
    for (const server of servers.slice(0, 2)) server.setMode('error');
    await eventually('panic', async () => (await host.upstream()).panic);
    servers[2]!.setMode('error');
    await eventually('none is up', async () => (await host.upstream()).usable === 0);
    assert.equal((await host.health()).status, 200);
    assert.match((await host.l7('status')).stdout, /^upstream shop: \d of 3 active servers usable, PANIC/m);
    for (const server of servers) server.setMode(null);
    await load.stop();
    await eventually('all are up', async () => (await host.upstream()).usable === 3);
    assert.equal((await host.upstream()).panic, false);
  });

  it('loses its sticky clients to another one, without a failure', async () => {
    await start({ sticky: { cookie: 'SRV' } });
    const cookies = join(host.resources.directory, 'cookies');
    const first = await host.get('/', { cookies });
    const held = first.headers.find(([name]) => name === 'x-backend')![1];
    const load = await host.load({
      targets: [{ address: VIP4, host: NAME, path: '/', cookies: true }],
      requestsPerSecond: 50,
      clients: 10,
    });
    const others = await host.load({ requestsPerSecond: 50, clients: 5 });
    servers[Number(held.slice(1)) - 1]!.setMode('error');
    assert.match(await isDown(held), /requests in a row failed/);
    const { status, headers } = await host.get('/', { cookies });
    assert.equal(status, 200);
    assert.notEqual(headers.find(([name]) => name === 'x-backend')![1], held);
    assert.ok(headers.some(([name, value]) => name === 'set-cookie' && value.startsWith('SRV=')));
    for (const one of [load, others]) {
      const { failed, reasons } = await one.stop();
      assert.deepEqual([failed, reasons], [0, {}]);
    }
  });
});
