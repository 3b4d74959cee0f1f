/** `anyhop l7 run` from its start to its end: what it says of itself, who may ask, and what becomes of HAProxy. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { markPath } from '#anyhop/agent/draining-mark.js';
import { ask, tell } from '#anyhop/cli/control-client.js';
import { addressOf } from './render-fixture.js';
import {
  eventually,
  FORWARDER,
  HOST,
  ProxyHost,
  SERVER_PORT,
  STRANGER,
  serverAddress,
  VIP6,
  withoutProxyHost,
} from './run-fixture.js';

const HEALTH = { kind: 'http', path: '/healthz', interval: '200ms', timeout: '200ms', fall: 2, rise: 2 };
const SERVERS = [1, 2].map((n) => ({ name: `s${n}`, address: serverAddress(n), port: SERVER_PORT }));
const STOP_MS = 45_000;

describe('anyhop l7 run', { skip: withoutProxyHost, timeout: 300_000 }, () => {
  let host: ProxyHost;
  before(async () => {
    host = await ProxyHost.create();
    await host.startServers(2);
  });
  afterEach(() => host?.kill());
  after(() => host?.close());

  const configure = (l7: object = {}): void =>
    host.configure({ upstreams: { shop: { health: HEALTH, servers: SERVERS } }, ...l7 });

  it('serves over TLS, redirects plain HTTP, and shows what it does as text and as JSON', async () => {
    configure();
    await host.start();
    assert.equal((await host.get('/a?b=1')).status, 200);
    assert.equal((await host.get('/', { address: VIP6, http: '2' })).httpVersion, '2');
    const { status, headers } = await host.get('/x?y=1', { url: 'http://shop.example.com/x?y=1' });
    assert.equal(status, 308);
    assert.ok(
      headers.some(([name, value]) => name === 'location' && value === 'https://shop.example.com/x?y=1'),
    );
    const { code, stdout } = await host.l7('status');
    assert.equal(code, 0);
    assert.match(stdout, /^stage +serving$/m);
    assert.match(stdout, /^haproxy +up, version 2\.\d/m);
    assert.match(stdout, /^health +ok$/m);
    assert.match(stdout, /^web +203\.0\.113\.10:443 \[2001:db8::10\]:443 .* 2 /m);
    assert.match(stdout, /^upstream shop: 2 of 2 active servers usable$/m);
    assert.match(stdout, /^s1 +10\.2\.0\.1:8080 +1 +up /m);
    const json = JSON.parse((await host.l7('status', '--json')).stdout);
    assert.deepEqual(
      [json.stage, json.haproxy.state, json.health, json.upstreams[0].servers.length],
      ['serving', 'up', { ok: true }, 2],
    );
    assert.equal((await host.l7('status', '-c', '/nonexistent.yaml')).code, 0, 'a named directory is enough');
  });

  it('runs HAProxy as a user of its own, whose files others cannot read', async () => {
    configure();
    await host.start();
    for (const pid of host.haproxyPids()) assert.notEqual(statSync(`/proc/${pid}`).uid, 0);
    const generation = join(host.runDirectory, 'current');
    for (const name of readdirSync(generation)) {
      const { mode } = statSync(join(generation, name));
      assert.equal(mode & 0o007, 0, name);
    }
    assert.equal(statSync(host.controlSocket).mode & 0o777, 0o660);
    assert.equal(statSync(host.controlSocket).uid, 0);
  });

  it('answers health checks of forwarders and backends, and nobody else', async () => {
    configure();
    await host.start();
    assert.deepEqual(await health(FORWARDER), [200, '{"ok":true}\n']);
    assert.deepEqual(await health(HOST), [200, '{"ok":true}\n']);
    assert.deepEqual(await health(STRANGER), [0, '']);
  });

  const health = async (from?: string): Promise<[number, string]> => {
    const { status, body } = await host.health(from);
    return [status, body];
  };
  const healthBecomes = (wanted: number, deadlineMs?: number): Promise<string> =>
    eventually(
      `health ${wanted}`,
      async () => {
        const [status, body] = await health();
        return status === wanted && body;
      },
      deadlineMs,
    );

  it('says within 3 s that HAProxy was killed, starts it again, and says so too', async () => {
    configure();
    await host.start();
    const [master] = host.haproxyPids();
    const worker = await host.worker();
    process.kill(master!, 'SIGSTOP'); // so that the next one does not come at once
    process.kill(worker, 'SIGSTOP');
    assert.match(await healthBecomes(503, 5_000), /HAProxy does not answer/);
    process.kill(worker, 'SIGKILL');
    process.kill(master!, 'SIGKILL');
    await healthBecomes(200);
    assert.equal((await host.get()).status, 200);
    const { haproxy } = await host.status();
    assert.equal(haproxy.restarts, 1);
    assert.notEqual(haproxy.pid, worker);
    assert.match((await host.l7('status')).stdout, /^haproxy .* 1 RESTART/m);
    assert.equal(host.logged('haproxy_ended').length, 1);
    const events = join(host.runDirectory, 'l7.events.jsonl');
    await eventually('the event is kept', async () =>
      readFileSync(events, 'utf8').includes('"haproxy_ended"'),
    );
  });

  it('says that no server is up, and shows why in the words of HAProxy', async () => {
    host.configure({
      upstreams: { shop: { health: HEALTH, panic_threshold: '50%', servers: [SERVERS[0]!, NOBODY] } },
      web: { routes: [{ to: 'shop' }] },
    });
    await host.start();
    const down = await eventually('its checks fail', async () => {
      const server = await host.server('nobody');
      return server.health === 'down' && server;
    });
    assert.match(down.why ?? '', /^L4CON Connection refused$/);
    assert.equal((await host.health()).status, 200);
    const text = (await host.l7('status')).stdout;
    assert.match(text, /^upstream shop: 1 of 2 active servers usable$/m);
    assert.match(text, /^nobody .* DOWN .* L4CON Connection refused$/m);
    host.configure({
      upstreams: { shop: { health: HEALTH, panic_threshold: '50%', servers: [NOBODY] } },
    });
    await host.l7('reload');
    assert.match(await healthBecomes(503), /no upstream has a server that is up/);
    assert.match((await host.l7('status')).stdout, /^upstream shop: 0 of 1 active server usable, PANIC/m);
    assert.match((await host.l7('status')).stdout, /^health +NOT OK: no upstream has a server that is up$/m);
    configure();
    await host.l7('reload');
    await healthBecomes(200);
  });

  it('drains at SIGTERM and leaves its mark, which the next one removes once it serves', async () => {
    configure();
    await host.start();
    const mark = markPath(host.marks, addressOf(HOST));
    const slow = host.get('/drip?bytes=150&interval=100', { timeoutMs: 30_000 });
    const stopping = host.process.stop('SIGTERM', STOP_MS);
    await eventually('the mark', () => existsSync(mark));
    await assert.rejects(tell(host.controlSocket, '/l7/undrain', {}), /about to end/);
    assert.match(await healthBecomes(503), /not all forwarders have followed/);
    assert.equal((await slow).status, 200, 'a request that is under way is answered');
    assert.deepEqual(await stopping, { code: 0, signal: null });
    assert.deepEqual(host.haproxyPids(), []);
    assert.ok(existsSync(mark));
    const stages = host.logged('l7_drain').map(({ stage }) => stage);
    assert.deepEqual(stages, ['following', 'unfollowed', 'closing', 'drained']);
    const [begun] = host.logged('l7_drain');
    assert.equal(begun?.['level'], 40, 'a warning');
    assert.equal(
      begun?.['msg'],
      'this host drains, but its agent does not answer: no forwarder is told; HAProxy closes at the deadline, in 5s',
    );
    assert.match(
      String(host.logged('l7_drain')[1]!['msg']),
      /not all forwarders have followed within 5s: health checks of this host fail/,
    );
    await host.start();
    assert.equal(existsSync(mark), false);
  });

  it('stays while it is drained, judges other configs meanwhile, and serves again', async () => {
    configure({ drain_deadline: '1s' });
    await host.start();
    const drained = await host.l7('drain', '--wait');
    assert.deepEqual([drained.code, drained.stdout], [0, 'drained: HAProxy has ended\n']);
    assert.match(await healthBecomes(503), /drained: HAProxy has ended/);
    assert.match((await host.l7('status')).stdout, /^stage +drained$/m);
    configure({ drain_deadline: '1s', max_connections: 900_000 });
    const refused = await host.l7('reload');
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /anyhop\.yaml:\d+:\d+: l7\.max_connections: 900000 connections take \d+ open files/,
    );
    configure({ drain_deadline: '1s', max_connections: 400 });
    assert.equal((await host.l7('reload')).stdout, 'in force at the next start\n');
    assert.ok(host.process.running);
    assert.equal((await host.l7('undrain')).code, 0);
    await healthBecomes(200);
    assert.equal((await host.get()).status, 200);
    assert.equal((await host.status()).haproxy.maxConnections, 400);
  });

  it('says how many connections its drain cut off at the deadline', async () => {
    configure({ drain_deadline: '1s' });
    await host.start();
    const slow = host.get('/drip?bytes=200&interval=100', { timeoutMs: 25_000 });
    await eventually('the request', async () => (await host.upstream()).sessions === 1);
    const { code, stdout, stderr } = await host.l7('drain', '--wait');
    assert.deepEqual([code, stdout], [1, 'drained: HAProxy has ended\n']);
    // HAProxy counts at the moment of its end: on a busy machine a connection that ends just then counts too.
    assert.match(
      stderr,
      /HAProxy ends its connections: 1 left\n.*[12] connections? left at the deadline, and cut off/s,
    );
    assert.equal((await slow).exitCode, 18);
    assert.match((await host.l7('status')).stdout, /^drain +.*; [12] connections? CUT OFF$/m);
  });

  it('leaves the mark of an operator alone', async () => {
    configure();
    const mark = markPath(host.marks, addressOf(HOST));
    assert.equal((await host.anyhop('agent', '-c', host.configFile, '--drain')).code, 0);
    await host.start();
    await host.process.stop('SIGINT', STOP_MS);
    assert.ok(existsSync(mark));
    assert.equal((await host.anyhop('agent', '-c', host.configFile, '--undrain')).code, 0);
  });

  it('ends connections at SIGINT and then itself, and does not answer that it is well meanwhile', async () => {
    configure();
    await host.start();
    const load = await host.load({ requestsPerSecond: 50, clients: 5 });
    await eventually('requests', async () => (await host.upstream()).responses['2xx']! > 20);
    const stopping = host.process.stop('SIGINT', STOP_MS);
    await eventually('an end that is told', async () => (await host.health()).status !== 200);
    assert.deepEqual(await stopping, { code: 0, signal: null });
    assert.deepEqual(host.haproxyPids(), []);
    await load.process.stop('SIGKILL');
  });

  it('ends all at once at a second signal', async () => {
    configure({ drain_deadline: '60s' });
    await host.start();
    const startMs = performance.now();
    const stopping = host.process.stop('SIGTERM', STOP_MS);
    await host.process.waitForEvent('stopping', STOP_MS);
    process.kill(host.process.pid, 'SIGINT');
    assert.deepEqual(await stopping, { code: 0, signal: null });
    assert.ok(performance.now() - startMs < 15_000);
    assert.deepEqual(host.haproxyPids(), []);
  });

  it('leaves nothing running when it cannot start, and names the field and line', async () => {
    writeFileSync(join(host.certificates, 'shop.pem.tmp'), '');
    host.configure({ upstreams: { shop: { servers: SERVERS } }, web: { services: ['https', 'elsewhere'] } });
    const unknown = await host.l7('run', '-c', host.configFile);
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /anyhop\.yaml:\d+:\d+: l7\.frontends\.web\.services\[1\]: /);
    configure();
    const blocker = await host.occupy(443);
    const taken = await host.l7('run', '-c', host.configFile);
    await blocker.stop('SIGKILL');
    assert.equal(taken.code, 2);
    assert.match(
      taken.stderr,
      /anyhop\.yaml:\d+:\d+: l7\.frontends\.web\.services\[0\]: port 443 of 203\.0\.113\.10 is taken by .+ \(process \d+\)/,
    );
    assert.deepEqual(host.haproxyPids(), []);
    assert.equal(existsSync(host.controlSocket), false);
  });

  it('does not touch the HAProxy of another one with the same run directory', async () => {
    configure();
    await host.start();
    const worker = await host.worker();
    const second = await host.l7('run', '-c', host.configFile);
    assert.equal(second.code, 3);
    assert.match(second.stderr, /another process listens on .*control\.sock\n.*l7 run/);
    assert.equal(await host.worker(), worker);
    assert.equal((await host.get()).status, 200);
  });

  it('answers unknown paths, fields and names with what there is', async () => {
    configure();
    await host.start();
    const refused = async (path: string, body: object): Promise<string> => {
      const error = await tell(host.controlSocket, path, body).then(
        () => assert.fail(path),
        (why) => why,
      );
      return `${error.exitCode} ${error.message} ${error.hint}`;
    };
    assert.match(await refused('/drain', {}), /^2 no "\/drain" There are \/l7\/status, /);
    assert.match(await refused('/l7/drain', { force: true }), /^2 .*force/);
    assert.match(
      await refused('/l7/server-weight', { upstream: 'shop', server: 's1', weight: 257 }),
      /^2 .*weight.*256/,
    );
    assert.match(
      await refused('/l7/server-state', { upstream: 'shp', server: 's1', state: 'draining' }),
      /^2 there is no upstream shp Did you mean shop\?/,
    );
    assert.match(
      await refused('/l7/server-state', { upstream: 'shop', server: 'x', state: 'draining' }),
      /^2 upstream shop has no server x There are s1, s2\./,
    );
    await assert.rejects(ask(host.controlSocket, '/status'), /no "\/status"/);
    assert.match((await host.anyhop('status', '--socket', host.controlSocket)).stderr, /no "\/status/);
  });
});

const NOBODY = { name: 'nobody', address: serverAddress(7), port: SERVER_PORT };
