/** Other configs for a running proxy host: refused ones change nothing, good ones lose no request, and what needs no reload gets none. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { tell } from '#anyhop/cli/control-client.js';
import type { L7Change } from '#anyhop/l7/api.js';
import { MasterCli } from '#anyhop/l7/haproxy/master.js';
import { haproxySockets } from '#anyhop/l7/render/rendering.js';
import { run } from '../../scripts/lab/command.js';
import { eventually, ProxyHost, SERVER_PORT, serverAddress, withoutProxyHost } from './run-fixture.js';

const HEALTH = { kind: 'http', path: '/healthz', interval: '300ms', timeout: '300ms', rise: 1 };
const server = (number: number, more: object = {}): object => ({
  name: `s${number}`,
  address: serverAddress(number),
  port: SERVER_PORT,
  ...more,
});
const PANIC = { health: HEALTH, panic_threshold: '50%', slow_start: '0s', balance: 'round_robin' };

describe('a proxy host that runs', { skip: withoutProxyHost, timeout: 400_000 }, () => {
  let host: ProxyHost;
  before(async () => {
    host = await ProxyHost.create();
    await host.startServers(3);
    host.configure({ upstreams: { shop: { ...PANIC, servers: [server(1), server(2)] } } });
    await host.start();
  });
  beforeEach(async () => {
    host.configure({ upstreams: { shop: { ...PANIC, servers: [server(1), server(2)] } } });
    await host.l7('reload');
  });
  after(() => host?.close());

  const cli = (): MasterCli => new MasterCli(haproxySockets(host.runDirectory).master);

  it('refuses a config that is wrong, at its line, and shows so', async () => {
    const worker = await host.worker();
    host.configure({ upstreams: { shop: { servers: [server(1), server(2, { weight: 300 })] } } });
    const { code, stderr } = await host.l7('reload');
    assert.equal(code, 2);
    const line = lineOf('weight: 300');
    assert.ok(stderr.startsWith(`${host.configFile}:${line}:`), stderr);
    assert.match(stderr, /l7\.upstreams\.shop\.servers\[1\]\.weight: .*0 to 256/);
    assert.equal(await host.worker(), worker);
    const text = (await host.l7('status')).stdout;
    assert.match(text, /^LAST RELOAD +\S+, REFUSED: .*servers\[1\]\.weight/m);
    assert.match(text, /^haproxy .*, 1 refused/m);
    assert.equal((await host.get()).status, 200);
  });

  it('can be asked with a config that has errors, by its run directory or else by the default one', async () => {
    host.configure({ upstreams: { shop: { servers: [server(1), server(2, { weight: 300 })] } } });
    const named = (...args: string[]) => host.anyhop('l7', ...args, '-c', host.configFile);
    const { code, stderr } = await named('status');
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal((await named('weight', 'shop/s1', '1')).stdout, 'shop/s1 has weight 1\n');
    assert.match((await named('reload')).stderr, /servers\[1\]\.weight: /);
    for (const text of ['l7: [', 'l7: {run_dir: nowhere}', 'l7: none']) {
      writeFileSync(host.configFile, text);
      const lost = await named('status');
      assert.equal(lost.code, 1);
      assert.match(
        lost.stderr,
        /^anyhop: the config has errors, so the run directory is the default \/run\/anyhop\/l7\n.*no "anyhop l7 run" answers on \/run\/anyhop\/l7\//,
      );
    }
  });

  it('says that a change is in force that HAProxy has no part in, and moves the port of its health checks', async () => {
    const shop = { upstreams: { shop: { ...PANIC, servers: [server(1), server(2)] } } };
    assert.equal((await host.l7('reload')).stdout, 'nothing to change\n');
    host.configure({ ...shop, health_port: 9700 } as never);
    assert.equal((await host.l7('reload')).stdout, 'in force without a reload\n');
    await eventually('no answer at the former port', async () => (await host.health()).status === 0);
    host.configure(shop);
    assert.equal((await host.l7('reload')).stdout, 'in force without a reload\n');
    await eventually('an answer', async () => (await host.health()).status === 200);
  });

  it('refuses another user or run directory, and says what to do', async () => {
    host.configure({
      upstreams: { shop: { ...PANIC, servers: [server(1), server(2)] } },
      user: 'nobody',
    } as never);
    const { code, stderr } = await host.l7('reload');
    assert.equal(code, 2);
    assert.match(stderr, /l7\.user is nobody now, and was haproxy: a reload cannot change it/);
    assert.match(stderr, /Drain this host \(anyhop l7 drain --wait\), then start anyhop l7 run again\./);
  });

  it('sends nothing to a server that is down, from the first request after a reload', async () => {
    const shop = (more: object): object => ({
      upstreams: {
        shop: {
          health: { ...HEALTH, interval: '10s', fall: 1 },
          ...{ retries: 0, balance: 'round_robin', servers: [server(1), server(2, { port: 8081 })] },
          ...more,
        },
      },
    });
    const down = async (): Promise<boolean> => (await host.server('s2')).health === 'down';
    host.configure(shop({}) as never);
    await host.l7('reload');
    await eventually('its first check fails', async () => (await down()) || undefined);
    for (const tunnel_timeout of ['1m', '2m']) {
      const worker = await host.worker();
      host.configure(shop({ tunnel_timeout }) as never);
      assert.match((await host.l7('reload')).stdout, /by a reload/);
      for (let i = 0; i < 4; i++) assert.equal((await host.get()).status, 200);
      assert.notEqual(await host.worker(), worker);
      assert.ok(await down());
    }
  });

  it('refuses what HAProxy refuses, at the field that HAProxy means', async () => {
    const before = await host.status();
    const ca = join(host.resources.directory, 'small-ca.pem');
    writeFileSync(ca, await smallAuthority());
    host.configure({
      upstreams: {
        shop: { tls: { server_name: 'shop.internal', ca_file: ca, certificate: ca }, servers: [server(1)] },
      },
    });
    const { code, stderr } = await host.l7('reload');
    assert.equal(code, 2, stderr);
    assert.match(stderr, /anyhop\.yaml:\d+:\d+: l7\.upstreams\.shop/);
    const after = await host.status();
    assert.deepEqual(
      [after.haproxy.pid, after.haproxy.reloads],
      [before.haproxy.pid, before.haproxy.reloads],
    );
    assert.equal((await host.get()).status, 200);
  });

  it('refuses a port that another program has, and goes on listening meanwhile', async () => {
    const blocker = await host.occupy(8443);
    const load = await host.load();
    host.configure({
      upstreams: { shop: { ...PANIC, servers: [server(1), server(2)] } },
      web: { services: ['https', 'https6', 'spare'] },
    });
    const { code, stderr } = await host.l7('reload');
    assert.equal(code, 2);
    const line = lineOf('- spare');
    assert.match(
      stderr,
      new RegExp(`anyhop\\.yaml:${line}:\\d+: l7\\.frontends\\.web\\.services\\[2\\]: port 8443 of`),
    );
    const { failed, requests, reasons } = await load.stop();
    assert.deepEqual([failed, reasons], [0, {}]);
    assert.ok(requests > 0);
    await blocker.stop('SIGKILL');
    assert.equal((await host.l7('reload')).stdout, 'in force by a reload\n');
    assert.match((await host.l7('status')).stdout, /^last reload +\S+, in force by a reload$/m);
  });

  it('loses no request of twenty reloads under load, on kept and on new connections', async () => {
    const before = (await host.status()).haproxy;
    const kept = await host.load({ clients: 20, requestsPerSecond: 200 });
    const fresh = await host.load({ clients: 10, requestsPerSecond: 50, requestsPerConnection: 1 });
    for (let i = 0; i < 20; i++) {
      host.configure({
        upstreams: { shop: { ...PANIC, retries: i % 2, servers: [server(1), server(2)] } },
      });
      const change = (await tell(host.controlSocket, '/l7/reload', {})) as L7Change;
      assert.equal(change.applied, 'by a reload');
    }
    for (const load of [kept, fresh]) {
      const { failed, reasons, requests } = await load.stop();
      assert.deepEqual([failed, reasons], [0, {}]);
      assert.ok(requests > 100, `${requests}`);
    }
    const { haproxy } = await host.status();
    assert.equal(haproxy.reloads - before.reloads, 20);
    await eventually('the end of old workers', async () => (await host.status()).haproxy.oldWorkers === 0);
    assert.equal(host.haproxyPids().length, 2);
  });

  it('reads its config again at SIGHUP', async () => {
    const { reloads } = (await host.status()).haproxy;
    host.configure({ upstreams: { shop: { ...PANIC, retries: 1, servers: [server(1), server(2)] } } });
    process.kill(host.process.pid, 'SIGHUP');
    await eventually('a reload', async () => (await host.status()).haproxy.reloads === reloads + 1);
    writeFileSync(host.configFile, 'l7: [');
    process.kill(host.process.pid, 'SIGHUP');
    await eventually('a refusal', async () => (await host.status()).lastReload?.outcome === 'refused');
    assert.equal((await host.get()).status, 200);
  });

  it('changes weight, state and address of servers without a reload, by its config and by commands', async () => {
    const worker = await host.worker();
    host.configure({
      upstreams: {
        shop: { ...PANIC, servers: [server(1, { weight: 7 }), server(2, { address: serverAddress(3) })] },
      },
    });
    assert.equal((await host.l7('reload')).stdout, 'in force without a reload\n');
    assert.deepEqual(await inHaproxy('u_shop'), { s1: [7, '10.2.0.1:8080'], s2: [1, '10.2.0.3:8080'] });
    assert.deepEqual(await inHaproxy('p_shop'), await inHaproxy('u_shop'));
    assert.equal((await host.l7('weight', 'shop/s1', '3')).stdout, 'shop/s1 has weight 3\n');
    assert.equal((await host.l7('drain', 'shop/s2')).stdout, 'shop/s2 drains\n');
    assert.deepEqual(await inHaproxy('u_shop'), { s1: [3, '10.2.0.1:8080'], s2: [0, '10.2.0.3:8080'] });
    assert.deepEqual(await inHaproxy('p_shop'), await inHaproxy('u_shop'));
    assert.match(
      await cli().askWorker(`show map ${await panicFile()}`),
      / shop 1\n/,
      'one of one active server',
    );
    assert.equal((await host.l7('undrain', 'shop/s2')).stdout, 'shop/s2 takes requests again\n');
    assert.equal((await host.l7('weight', 'shop/s1', '7')).code, 0);
    assert.equal(await host.worker(), worker);
    assert.equal((await host.status()).haproxy.restarts, 0);
  });

  it('keeps what was said of servers when HAProxy is killed, at reloads, and when it starts again itself', async () => {
    await host.l7('weight', 'shop/s1', '9');
    await host.l7('drain', 'shop/s2');
    const said = { s1: [9, '10.2.0.1:8080'], s2: [0, '10.2.0.2:8080'] };
    const worker = await host.worker();
    process.kill(worker, 'SIGKILL');
    await eventually('another worker', async () => {
      const { pid } = (await host.status()).haproxy;
      return pid !== undefined && pid !== worker;
    });
    assert.deepEqual(await inHaproxy('u_shop'), said);
    host.configure({ upstreams: { shop: { ...PANIC, retries: 1, servers: [server(1), server(2)] } } });
    const { stdout, stderr } = await host.l7('reload');
    assert.equal(stdout, 'in force by a reload\n');
    assert.deepEqual(stderr.trim().split('\n').slice(-2), [
      'warning: shop/s1 keeps weight 9, which was given by command; `anyhop l7 weight shop/s1 1` ends that',
      'warning: shop/s2 stays drained, as a command said; `anyhop l7 undrain shop/s2` ends that',
    ]);
    assert.deepEqual(await inHaproxy('u_shop'), said);
    await host.process.stop('SIGINT', 20_000);
    await host.start();
    assert.deepEqual(await inHaproxy('u_shop'), said);
    assert.deepEqual([(await host.server('s2')).state, (await host.server('s1')).weight], ['draining', 9]);
    // The config says the same now, and then something else.
    host.configure({
      upstreams: {
        shop: { ...PANIC, retries: 1, servers: [server(1, { weight: 9 }), server(2, { state: 'draining' })] },
      },
    });
    assert.equal((await host.l7('reload')).stdout, 'nothing to change\n');
    host.configure({ upstreams: { shop: { ...PANIC, retries: 1, servers: [server(1), server(2)] } } });
    assert.equal((await host.l7('reload')).stdout, 'in force without a reload\n');
    assert.deepEqual(await inHaproxy('u_shop'), { s1: [1, '10.2.0.1:8080'], s2: [1, '10.2.0.2:8080'] });
  });

  it('reloads HAProxy when it refuses a command, and says why', async () => {
    host.configure({ upstreams: { shop: { ...PANIC, servers: [server(1), server(2), server(3)] } } });
    await host.l7('reload');
    const worker = await host.worker();
    await cli().askWorker(`del map ${await panicFile()} shop`);
    const { stdout } = await host.l7('drain', 'shop/s2');
    assert.equal(stdout, 'shop/s2 drains (HAProxy was reloaded)\n');
    assert.notEqual(await host.worker(), worker);
    assert.equal((await inHaproxy('u_shop'))['s2']![0], 0);
    assert.match(await cli().askWorker(`show map ${await panicFile()}`), / shop 1\n/);
    const [refused] = host.logged('l7_command_refused');
    assert.match(String(refused?.['msg']), /HAProxy does not do "set map", so it is reloaded: .*not found/i);
    await host.l7('undrain', 'shop/s2');
  });

  /** Weight and address of each server by its name. */
  async function inHaproxy(backend: string): Promise<Record<string, [number, string]>> {
    const text = await cli().askWorker('show stat -1 4 -1');
    const [head = '', ...rows] = text.replace('# ', '').trim().split('\n');
    const at = (name: string): number => head.split(',').indexOf(name);
    return Object.fromEntries(
      rows
        .map((row) => row.split(','))
        .filter((row) => row[0] === backend)
        .map((row) => [row[1]!, [Number(row[at('weight')]), row[at('addr')]!]]),
    );
  }

  async function panicFile(): Promise<string> {
    const maps = await cli().askWorker('show map');
    return /\((\S+panic\.map)\)/.exec(maps)![1]!;
  }

  function lineOf(text: string): number {
    return (
      readFileSync(host.configFile, 'utf8')
        .split('\n')
        .findIndex((line) => line.includes(text)) + 1
    );
  }
});

/** Certificate and key that OpenSSL refuses for TLS, since the key is too short. */
function smallAuthority(): Promise<string> {
  const argv = [
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:1024',
    '-noenc',
    '-keyout',
    '-',
    '-subj',
    '/CN=small',
  ];
  return run(argv);
}
