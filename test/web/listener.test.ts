/** The listener of a process, in its worker: what it answers, to whom, and what clients cannot do to it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Secret } from '#anyhop/config/secret.js';
import { WEB_CONNECTIONS_MAX } from '#anyhop/core/limits.js';
import { info, single } from '#anyhop/metrics/table.js';
import {
  ask,
  authority,
  Ends,
  type Line,
  login,
  metricsConfig,
  raw,
  type Started,
  started,
  until,
} from './fixture.js';

const ends = new Ends();
after(() => ends.all());

const MANY = Array.from({ length: 200 }, (_, i) => ['web', `web-${i}`]);
const tables = () => [single({ anyhop_ready: 1 }), info('anyhop_backend_up', MANY)];

// Most of what they take is waiting: for time-outs, and after wrong passwords.
describe('the listener', { concurrency: true }, () => {
  describe('a listener on loopback', { concurrency: 1 }, () => {
    let open: Started;
    let samples = 0;
    before(async () => {
      open = await started(ends, metricsConfig(), {
        collect: () => {
          samples++;
          return tables();
        },
      });
    });

    it('answers scrapers in the format of Prometheus, or in that of OpenMetrics if they take it', async () => {
      const plain = await ask(open.port(), '/metrics');
      assert.equal(plain.status, 200);
      assert.match(plain.headers['content-type']!, /^text\/plain; version=0\.0\.4/);
      assert.match(plain.body.toString(), /^# TYPE anyhop_ready gauge\nanyhop_ready 1$/m);
      assert.match(plain.body.toString(), /^anyhop_backend_up\{pool="web",backend="web-199"\} 1$/m);
      assert.match(
        plain.body.toString(),
        /^# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total \d/m,
      );
      // As Prometheus 2.42 asks.
      const accept =
        'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
      const openMetrics = await ask(open.port(), '/metrics', { headers: { accept } });
      assert.match(openMetrics.headers['content-type']!, /^application\/openmetrics-text; version=1\.0\.0/);
      assert.match(
        openMetrics.body.toString(),
        /^# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total \d/m,
      );
      assert.match(openMetrics.body.toString(), /\n# EOF\n$/);
      const rather = await ask(open.port(), '/metrics', {
        headers: { accept: 'text/plain, application/openmetrics-text;q=0.2' },
      });
      assert.match(rather.headers['content-type']!, /^text\/plain/);
    });

    it('compresses for those who take it, and answers a HEAD request without a body', async () => {
      const zipped = await ask(open.port(), '/metrics', { headers: { 'accept-encoding': 'gzip' } });
      assert.equal(zipped.headers['content-encoding'], 'gzip');
      assert.match(gunzipSync(zipped.body).toString(), /anyhop_backend_up\{pool="web",backend="web-0"\} 1/);
      const refused = await ask(open.port(), '/metrics', { headers: { 'accept-encoding': 'gzip;q=0, br' } });
      assert.equal(refused.headers['content-encoding'], undefined);
      const head = await ask(open.port(), '/metrics', { method: 'HEAD' });
      assert.equal(head.status, 200);
      assert.equal(head.body.length, 0);
    });

    it('asks the process once for all who ask within a second', async () => {
      const [before, startMs] = [samples, performance.now()];
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(open.port(), '/metrics')));
      assert.ok(answers.every(({ status }) => status === 200));
      const seconds = (performance.now() - startMs) / 1000;
      assert.ok(samples - before <= seconds + 2, `${samples - before} samples in ${seconds} s`);
    });

    it('says that the process is healthy, and what there is', async () => {
      assert.equal((await ask(open.port(), '/-/healthy')).status, 200);
      const nothing = await ask(open.port(), '/');
      assert.equal(nothing.status, 404);
      assert.match(nothing.body.toString(), /\/metrics/);
    });

    it('lets browsers do nothing with its answers', async () => {
      const { headers } = await ask(open.port(), '/metrics');
      assert.match(headers['content-security-policy'] as string, /default-src 'none'/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['access-control-allow-origin'], undefined);
    });

    it('answers under the names of this machine only, so that no foreign page gets in by its own name', async () => {
      for (const host of ['localhost', 'localhost:9000', '127.0.0.1:1', '[::1]:9612', '10.0.0.1'])
        assert.equal((await ask(open.port(), '/metrics', { headers: { host } })).status, 200, host);
      for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', 'a@localhost'])
        assert.equal((await ask(open.port(), '/metrics', { headers: { host } })).status, 421, host);
    });

    it('refuses other methods, bodies, other paths and what is no path', async () => {
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'])
        assert.equal((await ask(open.port(), '/metrics', { method })).status, 405, method);
      assert.equal((await ask(open.port(), '/metrics', { headers: { 'content-length': 5 } })).status, 413);
      for (const path of [
        '/metrics/',
        '/../metrics',
        '/metrics/../../etc/passwd',
        '/%2e%2e/etc/passwd',
        '//metrics',
        '/metricsx',
      ])
        assert.ok([404, 200, 400].includes((await ask(open.port(), path)).status), path);
      assert.equal((await ask(open.port(), '/%2e%2e/etc/passwd')).status, 404);
      const strange = await raw(open.port(), 'GET http://[ HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await until('it is answered', () => strange.said() !== '');
      assert.match(strange.said(), /^HTTP\/1\.1 400 /);
    });
  });

  describe('a listener with a login', () => {
    it('answers who gives user and password, and nobody else', async () => {
      const { port, lines } = await started(ends, metricsConfig({ login: login() }));
      assert.equal((await ask(port(), '/metrics', { auth: 'prometheus:let me in' })).status, 200);
      const nobody = await ask(port(), '/metrics');
      assert.equal(nobody.status, 401);
      assert.match(nobody.headers['www-authenticate']!, /^Basic /);
      const wrong = ['prometheus:', 'prometheus:let me i', 'other:let me in', ':', 'prometheus:let me in\n'];
      const answers = await Promise.all(wrong.map((auth) => ask(port(), '/metrics', { auth })));
      assert.deepEqual(
        answers.map(({ status }) => status),
        wrong.map(() => 401),
      );
      const strange = ['Basic !!!', 'Bearer cHJvbWV0aGV1czpsZXQgbWUgaW4=', 'Basic'];
      await Promise.all(
        strange.map(async (authorization) =>
          assert.equal((await ask(port(), '/-/healthy', { headers: { authorization } })).status, 401),
        ),
      );
      await until('the log says it', () => lines.some(({ event }) => event === 'listener_refused'));
      const refused = lines.filter(({ event }) => event === 'listener_refused');
      assert.equal(refused.length, 1, 'once a minute');
      assert.doesNotMatch(JSON.stringify(lines), /let me/);
    });
  });

  describe('a listener with a certificate', () => {
    it('answers over TLS, and with an authority only clients with its certificate; a reload changes both', async () => {
      const own = await authority(ends, 'web');
      const other = await authority(ends, 'other');
      const [server, client, foreign] = ['server', 'client', 'foreign'].map((name) =>
        join(own.directory, `${name}.pem`),
      );
      await own.authority.serverCertificate(server!, ['edge-1', '127.0.0.1']);
      await own.authority.clientCertificate(client!, 'prometheus');
      await other.authority.clientCertificate(foreign!, 'prometheus');
      const certificate = new Secret(readFileSync(server!));
      const tls = { isTls: true, ca: own.pem };
      const known = { ...tls, cert: readFileSync(client!), key: readFileSync(client!) };
      const stranger = { ...tls, cert: readFileSync(foreign!), key: readFileSync(foreign!) };

      const open = metricsConfig({ tls: { certificate, authorities: undefined } });
      const { listener, port, lines } = await started(ends, open);
      assert.equal((await ask(port(), '/metrics', tls)).status, 200);
      await assert.rejects(ask(port(), '/metrics', { isTls: true }), /certificate/);
      await assert.rejects(ask(port(), '/metrics'), 'plain HTTP');

      const starts = (): number => lines.filter(({ event }) => event === 'listener_available').length;
      listener.use({ ...open }); // as a reload does that changes nothing here
      listener.use(metricsConfig({ tls: { certificate, authorities: new Secret(own.pem) } }));
      await until('it asks for certificates', () => starts() >= 2);
      assert.equal((await ask(port(), '/metrics', known)).status, 200);
      assert.equal(starts(), 2, 'the same config starts nothing again');
      await assert.rejects(ask(port(), '/metrics', tls));
      await assert.rejects(ask(port(), '/metrics', stranger));
      await until('the log says it', () => lines.some(({ event }) => event === 'listener_refused'));
    });
  });

  describe('a listener among hostile clients', () => {
    it('answers a scraper while many hold connections, send slowly, or send no HTTP', async () => {
      const { port } = await started(ends);
      const held = await Promise.all(
        Array.from({ length: 300 }, (_, i) =>
          raw(port(), ['', 'GET /metrics HT', '\x16\x03\x01\x02\x00'][i % 3]),
        ),
      );
      ends.add(() => {
        for (const { socket } of held) socket.destroy();
      });
      for (let i = 0; i < 5; i++) assert.equal((await ask(port(), '/metrics')).status, 200);
      await until('most of them are gone', () => held.filter(({ isClosed }) => isClosed()).length >= 200);
      // What is left of them is slow.
      await until('all of them are gone', () => held.every(({ isClosed }) => isClosed()));
    });

    it('does not wait for those who begin TLS and say no more when its config changes', async () => {
      const { authority: own, directory } = await authority(ends, 'half-open');
      const file = join(directory, 'server.pem');
      await own.serverCertificate(file, ['127.0.0.1']);
      const certificate = new Secret(readFileSync(file));
      const config = metricsConfig({ tls: { certificate, authorities: undefined } });
      const { listener, port, lines } = await started(ends, config);
      const held = await Promise.all(Array.from({ length: 5 }, () => raw(port(), '\x16\x03\x01\x02')));
      listener.use({ ...config, login: login() });
      await until(
        'it listens anew',
        () => lines.filter(({ event }) => event === 'listener_available').length === 2,
      );
      await until('they are gone', () => held.every(({ isClosed }) => isClosed()));
      // Whoever is waited for is refused when the time for a handshake is over.
      assert.ok(lines.every(({ event }) => event !== 'listener_refused'));
    });

    it('keeps the connection of a client that asks over it again and again', async () => {
      const { port } = await started(ends);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      ends.add(() => agent.destroy());
      for (let i = 0; i < 3 * WEB_CONNECTIONS_MAX; i++)
        assert.equal((await ask(port(), '/-/healthy', { agent })).status, 200, `question ${i}`);
    });

    it('hangs up on headers without end, tunnels, and questions before the answer', async () => {
      const { port } = await started(ends);
      const long = await raw(port(), `GET /metrics HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(100_000)}`);
      await until('headers without end are refused', () => long.isClosed());
      assert.match(long.said(), /^HTTP\/1\.1 431 /);
      const tunnel = await raw(port(), 'CONNECT 10.0.0.1:22 HTTP/1.1\r\nhost: 10.0.0.1:22\r\n\r\n');
      await until('a tunnel is refused', () => tunnel.isClosed());
      const eager = await raw(port(), 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(1000));
      await until('who does not wait for answers is left', () => eager.isClosed());
      const upgrade = await raw(
        port(),
        'GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      );
      await until('there is no other protocol', () => /^HTTP\/1\.1 200 /.test(upgrade.said()));
      upgrade.socket.destroy();
      assert.equal((await ask(port(), '/metrics')).status, 200);
    });
  });

  describe('a listener in a process', () => {
    it('says what failed when the process cannot tell its metrics, and answers again when it can', async () => {
      let isBroken = true;
      const { port, lines } = await started(ends, metricsConfig(), {
        collect: () => {
          if (isBroken) throw new Error('the counters are gone');
          return tables();
        },
      });
      const failed = await ask(port(), '/metrics');
      assert.equal(failed.status, 503);
      assert.match(failed.body.toString(), /the counters are gone/);
      assert.equal((await ask(port(), '/-/healthy')).status, 503);
      assert.equal(lines.filter(({ event }) => event === 'metrics_failed').length, 1);
      isBroken = false;
      assert.equal((await ask(port(), '/metrics')).status, 200);
    });

    it('waits for a port that is taken, moves with the config, and ends with it', async () => {
      const first = await started(ends);
      const lines: Line[] = [];
      const second = started(ends, metricsConfig({}, '127.0.0.1', first.port()), {}, lines);
      await until('the second waits', () => lines.some(({ event }) => event === 'listener_unavailable'));
      first.listener.use(undefined);
      const { port, listener } = await second;
      assert.equal(port(), first.port());
      assert.equal((await ask(port(), '/metrics')).status, 200);
      assert.equal(lines.filter(({ event }) => event === 'listener_unavailable').length, 1);
      await listener.close();
      await assert.rejects(ask(port(), '/metrics'));
    });
  });

  describe('a listener with pages of a module', () => {
    const pages = { module: new URL('./pages-module.js', import.meta.url).href, data: 'hello' };

    it('has the module answer, and lives on when that fails', async () => {
      const { port, lines } = await started(ends, metricsConfig(), { pages });
      assert.equal((await ask(port(), '/greeting')).body.toString(), 'hello\n');
      assert.equal((await ask(port(), '/nothing')).status, 404);
      await ask(port(), '/log');
      await until('a page writes to the log', () => lines.some(({ text }) => text === 'said by a page'));
      assert.equal((await ask(port(), '/throws')).status, 500);
      await until('the log says why', () =>
        lines.some(({ event, why }) => event === 'listener_failed' && why === 'a page has a fault'),
      );
      await ask(port(), '/crash').catch(() => undefined);
      await until('the log says that the worker has ended', () =>
        lines.some(({ event, why }) => event === 'listener_ended' && why === 'a page has a grave fault'),
      );
      await until(
        'there is another worker',
        () => lines.filter(({ text }) => /^http:.* answers$/.test(text)).length === 2,
      );
      assert.equal((await ask(port(), '/metrics')).status, 200, 'label sets are sent again');
    });

    it('answers only metrics where strangers could ask', async () => {
      const { port } = await started(ends, metricsConfig({}, '0.0.0.0'), { pages });
      assert.equal((await ask(port(), '/greeting')).status, 404);
      assert.equal((await ask(port(), '/metrics', { headers: { host: 'edge-1:9612' } })).status, 200);
      const guarded = await started(ends, metricsConfig({ login: login() }, '0.0.0.0'), { pages });
      assert.equal(
        (await ask(guarded.port(), '/greeting', { auth: 'prometheus:let me in' })).status,
        404,
        'without TLS',
      );
    });
  });
});
