/** HAProxy as a daemon: real processes, real requests, real signals. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { Agent, createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '#anyhop/core/alive.js';
import { HaproxyDaemon } from '#anyhop/l7/haproxy/haproxy.js';
import { findLeftovers, signalAll } from '#anyhop/l7/haproxy/leftovers.js';
import type { HaproxyConfig } from '#anyhop/l7/haproxy/prepare.js';
import type { HaproxyProblem } from '#anyhop/l7/haproxy/problems.js';
import { restartDelayMs } from '#anyhop/l7/haproxy/runner.js';
import { haproxySockets } from '#anyhop/l7/render/rendering.js';
import {
  answering,
  config,
  eventually,
  keptLog,
  ownAddress,
  rendering,
  temporaryRun,
  withoutHaproxy,
} from './haproxy-fixture.js';
import { fetchText, Load } from './load.js';

const isRoot = process.geteuid?.() === 0;
/** Of linux/capability.h: CAP_NET_BIND_SERVICE alone. */
const ONLY_BIND = '0000000000000400';

function masterOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

it('a restart of HAProxy waits twice as long as the one before, 200 ms to 30 s', () => {
  const delays = [0, 1, 2, 7, 8, 1000].map(restartDelayMs);
  assert.deepEqual(delays, [200, 400, 800, 25_600, 30_000, 30_000]);
});

describe('HAProxy as a daemon', { skip: withoutHaproxy, timeout: 300_000 }, () => {
  let place: ReturnType<typeof temporaryRun>;
  let address: string;
  let kept: ReturnType<typeof keptLog>;
  let daemon: HaproxyDaemon | undefined;
  const servers: Server[] = [];

  beforeEach(() => {
    place = temporaryRun();
    address = ownAddress();
    kept = keptLog();
  });
  afterEach(async () => {
    await daemon?.hardStop();
    daemon = undefined;
    signalAll(findLeftovers(haproxySockets(place.run).master).pids, 'SIGKILL'); // after a failed test
    for (const server of servers.splice(0)) server.close();
    place.remove();
  });

  async function start(first: HaproxyConfig = config(address)): Promise<HaproxyDaemon> {
    const started = await HaproxyDaemon.start({ run: place.run, log: kept.log }, first);
    daemon = started.daemon;
    return daemon;
  }

  function worker(): number {
    const { state } = daemon!;
    assert.equal(state.state, 'up');
    return state.state === 'up' ? state.worker.pid : 0;
  }

  /** A program other than HAProxy on a port of this address. */
  async function occupy(port: number): Promise<Server> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    servers.push(server);
    return server;
  }

  function logged(event: string): string[] {
    return kept.lines.filter((line) => line.event === event).map(({ text }) => text);
  }

  it('serves once it has started, and says what it is doing', async () => {
    const started = await start();
    assert.equal(await fetchText(address), 'ok');
    assert.equal(started.state.state, 'up');
    assert.equal(started.isAlive(), true);
    assert.equal(started.generation, 1);
    assert.deepEqual(
      kept.lines.filter(({ level }) => level === 'error' || level === 'warn'),
      [],
    );
    const { frontends } = await started.stats();
    assert.deepEqual(
      frontends.map(({ frontend, status }) => [frontend, status]),
      [['f_web', 'OPEN']],
    );
    assert.equal(frontends[0]!.responses['2xx'], 1);
    const info = await started.info();
    assert.deepEqual([info.pid, info.connectionsMax], [worker(), 200]);
  });

  it('runs as an ordinary user with one capability, the master too', {
    skip: !isRoot && 'needs root',
  }, async () => {
    await start();
    const master = masterOf(worker());
    const user = execFileSync('id', ['-u', 'haproxy'], { encoding: 'utf8' }).trim();
    for (const pid of [master, worker()]) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const field = (name: string): string[] =>
        new RegExp(`^${name}:[ \t]*(.*)$`, 'm').exec(status)![1]!.trim().split('\t');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.deepEqual(field(set), [ONLY_BIND], set);
      assert.deepEqual(field('Uid'), [user, user, user, user]);
      assert.deepEqual(field('Groups'), ['']);
      assert.deepEqual(field('NoNewPrivs'), ['1']);
      const names = readFileSync(`/proc/${pid}/environ`, 'utf8')
        .split('\0')
        .map((each) => each.split('=')[0]);
      assert.deepEqual(
        names.filter((name) => name !== '' && !/^(?:PATH|LC_ALL|HAPROXY_\w+)$/.test(name!)),
        [],
      );
    }
  });

  it('reloads twenty times under load without one failed request', async () => {
    const started = await start(config(address, { answer: 'g0' }));
    const load = new Load(address, { keepAlive: 6, fresh: 2 });
    let silences = 0;
    const watch = setInterval(() => {
      if (!started.isAlive()) silences++;
    }, 5);
    for (let i = 1; i <= 20; i++) {
      const former = worker();
      const reloading = started.reload(config(address, { answer: `g${i}` }));
      // Answered, also while the socket is away.
      await Promise.all(Array.from({ length: 5 }, (_, k) => sleep(50 * k).then(() => started.info())));
      const outcome = await reloading;
      assert.ok(outcome.inForce, JSON.stringify(outcome));
      assert.equal(outcome.worker.pid, worker());
      assert.notEqual(worker(), former);
      assert.equal(await fetchText(address), `g${i}`);
    }
    await load.stop();
    clearInterval(watch);
    assert.equal(silences, 0);
    assert.ok(load.requests > 200, `${load.requests} requests`);
    // A transfer of the sockets that fails is HAProxy's; it is counted, and it may cost connections.
    if (started.transfersLost === 0) assert.deepEqual(load.failures, []);
    assert.equal(logged('haproxy_sockets_lost').length, started.transfersLost);
    const generations = readdirSync(place.run).filter((name) => /^g\d+$/.test(name));
    assert.ok(generations.length <= 5, generations.join());
    assert.ok(generations.includes('g21'));
  });

  /** Tries a config that must be refused, and then one that must not. */
  async function refuses(bad: HaproxyConfig): Promise<readonly HaproxyProblem[]> {
    const started = await start();
    const load = new Load(address, { keepAlive: 2, fresh: 0 });
    const before = {
      worker: worker(),
      generation: started.generation,
      files: readFileSync(join(place.run, 'current/haproxy.cfg')),
    };
    const outcome = await started.reload(bad);
    assert.equal(outcome.inForce, false);
    assert.deepEqual(
      {
        worker: worker(),
        generation: started.generation,
        files: readFileSync(join(place.run, 'current/haproxy.cfg')),
      },
      before,
    );
    assert.equal(await fetchText(address), 'ok');
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.equal(logged('haproxy_refused').length, 1);
    assert.ok((await started.reload(config(address, { answer: 'next' }))).inForce);
    assert.equal(await fetchText(address), 'next');
    return outcome.inForce ? [] : outcome.problems;
  }

  it('keeps what is in force when HAProxy refuses a config, and names the field', async () => {
    const bad = config(address, { rules: '  bogus' });
    const problems = await refuses(bad);
    const row = answering(address, { rules: '  bogus' }).trim().split('\n').indexOf('  bogus') + 1;
    assert.deepEqual(problems, [
      { level: 'error', at: ['line', row], message: "unknown keyword 'bogus' in 'frontend' section" },
    ]);
  });

  it('keeps what is in force when a port is taken, which it sees before HAProxy would stop to accept connections', async () => {
    const { port } = (await occupy(0)).address() as AddressInfo;
    const { needs } = config(address);
    const bad = config(
      address,
      { rules: `  bind ${address}:${port}` },
      { binds: [...needs.binds, { ...needs.binds[0]!, port, at: ['taken'] }] },
    );
    const [problem] = await refuses(bad);
    assert.deepEqual(problem!.at, ['taken']);
    assert.match(
      problem!.message,
      new RegExp(`^port ${port} of ${address} is taken by .* \\(process ${process.pid}\\)$`),
    );
  });

  it('keeps what is in force when HAProxy accepts a config and fails to load it, and names the field', async () => {
    const { port } = (await occupy(0)).address() as AddressInfo;
    const rules = `  bind ${address}:${port}`;
    const problems = await refuses(config(address, { rules })); // the bind is not among the needs
    const row = answering(address, { rules }).trim().split('\n').indexOf(rules) + 1;
    assert.deepEqual(
      problems.map(({ at, level }) => [at, level]),
      [[['line', row], 'error']],
    );
    assert.match(problems[0]!.message, /cannot bind socket \(Address already in use\)/);
  });

  it('keeps what is in force when HAProxy would need more descriptors than it may have', async () => {
    const problems = await refuses(
      config(address, { global: '  maxconn 900000000' }, { connections: { value: 900_000_000, at: ['n'] } }),
    );
    assert.deepEqual(
      problems.map(({ at }) => at),
      [['n']],
    );
    assert.match(problems[0]!.message, /^900000000 connections take \d+ open files/);
  });

  it('keeps what is in force when HAProxy itself finds too few descriptors', async () => {
    const problems = await refuses(config(address, { global: '  maxconn 4000000' }));
    assert.match(problems[0]!.message, /Cannot raise FD limit|Not enough memory/);
  });

  it('does not start with a config that is refused, by itself or by HAProxy, and leaves nothing running', async () => {
    const taken = await occupy(8080);
    const error = await start().catch((each) => each);
    assert.deepEqual(
      error.problems.map(({ at }: HaproxyProblem) => at),
      [['bind']],
    );
    assert.match(error.message, /^HAProxy cannot start: port 8080 of .* is taken by/);
    const unseen = await start(config(address, {}, { binds: [] })).catch((each) => each);
    assert.match(unseen.problems[0].message, /cannot bind socket/);
    assert.equal(unseen.problems[0].at[0], 'line');
    taken.close();
    await assert.rejects(start(config(address, { rules: '  bogus' })), {
      code: 'ERR_HAPROXY',
      message: /unknown keyword/,
    });
    assert.equal(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes(place.run), false);
    await start();
    assert.equal(await fetchText(address), 'ok');
  });

  it('is not started without its program', async () => {
    const options = { run: place.run, log: kept.log, program: 'no-such-haproxy' };
    await assert.rejects(HaproxyDaemon.start(options, config(address)), {
      code: 'ERR_TOOL',
      message: /missing/,
    });
  });

  for (const whom of ['worker', 'master'] as const) {
    it(`serves again within two seconds when its ${whom} is killed, and says why it had ended`, async () => {
      const started = await start();
      const states: string[] = [];
      started.onState(({ state }) => states.push(state));
      const pid = whom === 'worker' ? worker() : masterOf(worker());
      process.kill(pid, 'SIGKILL');
      const killedMs = performance.now();
      await eventually('an end', () => logged('haproxy_ended')[0]);
      assert.equal(await eventually('an answer', () => fetchText(address).catch(() => undefined)), 'ok');
      assert.ok(performance.now() - killedMs < 2_000, `${performance.now() - killedMs} ms`);
      await eventually('up', () => started.state.state === 'up' || undefined);
      assert.deepEqual(states, ['restarting', 'up']);
      const why =
        whom === 'worker'
          ? /^HAProxy ended: worker \(\d+\) exited with code 137 \(Killed\)$/
          : /ended by SIGKILL/;
      assert.match(logged('haproxy_ended')[0]!, why);
      assert.deepEqual(logged('haproxy_up'), ['HAProxy serves', 'HAProxy serves again']);
      assert.equal(started.isAlive(), true);
    });
  }

  it('leaves no worker behind that hangs when its master dies', async () => {
    const started = await start();
    const hanging = worker();
    const master = masterOf(hanging);
    process.kill(hanging, 'SIGSTOP');
    process.kill(master, 'SIGKILL');
    await eventually('an end', () => logged('haproxy_ended')[0]);
    await eventually('up', () => started.state.state === 'up' || undefined);
    assert.notEqual(worker(), hanging);
    await eventually('the end of the worker', () => !isAlive(hanging) || undefined);
  });

  it('tries again, as long as it cannot start, and takes a new config at once', async () => {
    const started = await start();
    const files = join(place.run, 'current');
    process.kill(worker(), 'SIGKILL');
    await eventually('an end', () => started.state.state === 'restarting' || undefined);
    const thief = await occupy(8080);
    await eventually('two attempts', () => logged('haproxy_not_started').length >= 2 || undefined);
    assert.match(logged('haproxy_not_started')[0]!, /could not be started again/);
    assert.equal(started.isAlive(), false);
    assert.equal(started.state.state === 'restarting' && started.state.attempts >= 3, true);
    await assert.rejects(started.command('show info'), { code: 'ERR_HAPROXY', message: /does not run/ });
    thief.close();
    assert.ok((await started.reload(config(address, { answer: 'new' }))).inForce);
    assert.equal(await fetchText(address), 'new');
    assert.match(readFileSync(join(files, 'haproxy.cfg'), 'utf8'), /"new"/);
  });

  it('starts again when its files were removed', async () => {
    await start();
    for (const name of readdirSync(place.run))
      if (name !== 'sockets') rmSync(join(place.run, name), { recursive: true });
    process.kill(worker(), 'SIGKILL');
    await eventually('an end', () => logged('haproxy_ended')[0]);
    assert.equal(await eventually('an answer', () => fetchText(address).catch(() => undefined)), 'ok');
  });

  it('finishes the requests that it has when it is stopped softly, and takes no new ones', async () => {
    const slow = createHttpServer((_, answer) => setTimeout(() => answer.end('slow'), 1_500));
    await new Promise<void>((resolve) => slow.listen(9090, address, resolve));
    servers.push(slow);
    const through = answering(address, { sections: `backend u_a\n  server s ${address}:9090` }).replace(
      /\n {2}http-request return.*\n/,
      '\n  default_backend u_a\n',
    );
    const started = await start({ ...config(address), render: rendering(through) });
    const agent = new Agent({ keepAlive: true });
    const first = fetchText(address, agent);
    await eventually(
      'a request',
      async () => (await started.stats()).servers[0]!.sessions.current === 1 || undefined,
    );
    const stopped = started.softStop(20_000);
    assert.equal(started.state.state, 'stopping');
    await eventually('refusal', () =>
      fetchText(address).then(
        () => undefined,
        ({ code }) => code === 'ECONNREFUSED' || undefined,
      ),
    );
    await assert.rejects(started.reload(config(address)), { code: 'ERR_STOPPING' });
    assert.equal(await first, 'slow');
    agent.destroy();
    assert.deepEqual(await stopped, { isDone: true, cutOff: 0 });
    assert.equal(started.state.state, 'stopped');
    assert.deepEqual(logged('haproxy_ended'), []);
  });

  it('ends at the deadline when a request does not', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => silent.listen(9090, address, resolve));
    servers.push(silent);
    const through = answering(address, { sections: `backend u_a\n  server s ${address}:9090` }).replace(
      /\n {2}http-request return.*\n/,
      '\n  default_backend u_a\n',
    );
    const started = await start({ ...config(address), render: rendering(through) });
    const request = fetchText(address).catch((error) => error);
    await eventually(
      'a request',
      async () => (await started.stats()).servers[0]!.sessions.current === 1 || undefined,
    );
    assert.equal((await started.softStop(300)).isDone, false);
    assert.ok((await request) instanceof Error);
    assert.equal(started.state.state, 'stopped');
  });

  it('takes runtime commands, and keeps what they did over a reload and a restart once it is written too', async () => {
    const rules =
      '  http-request return status 200 content-type text/plain lf-string "%[str(k),map_str(DIRECTORY/maps/x.map)]"';
    const withMap = (value: string): HaproxyConfig => ({
      ...config(address),
      render: rendering(answering(address, { rules }), { 'maps/x.map': `k ${value}\n` }),
    });
    const started = await start(withMap('one'));
    assert.equal(await fetchText(address), 'one');
    const former = { worker: worker(), directory: started.loadedDirectory };
    assert.equal((await started.command(`set map ${started.loadedDirectory}/maps/x.map k two`)).trim(), '');
    assert.equal(await fetchText(address), 'two');
    const amended = await started.amend(withMap('two'));
    assert.deepEqual(amended.inForce && [amended.generation, started.generation], [2, 2]);
    // The same worker, which knows its files by the former directory.
    assert.deepEqual({ worker: worker(), directory: started.loadedDirectory }, former);
    assert.equal((await started.command(`set map ${started.loadedDirectory}/maps/x.map k two`)).trim(), '');
    process.kill(worker(), 'SIGKILL');
    await eventually('an end', () => logged('haproxy_ended')[0]);
    await eventually('up', () => started.state.state === 'up' || undefined);
    assert.equal(await fetchText(address), 'two');
    assert.equal(started.loadedDirectory, join(place.run, 'g2'));
    const refused = await started.amend(config(address, { rules: '  bogus' }));
    assert.equal(refused.inForce, false);
    assert.equal(started.generation, 2);
  });

  it('counts and reports a reload in which the former worker does not hand over its sockets', async () => {
    const started = await start();
    const former = worker();
    process.kill(former, 'SIGSTOP');
    try {
      const outcome = await started.reload(config(address, { answer: 'next' }));
      assert.ok(outcome.inForce && outcome.isTransferLost, JSON.stringify(outcome));
    } finally {
      process.kill(former, 'SIGCONT');
    }
    assert.equal(started.transfersLost, 1);
    assert.equal(logged('haproxy_sockets_lost').length, 1);
    await eventually('the new one alone', () =>
      fetchText(address).then((text) => text === 'next' || undefined),
    );
  });

  it('is alive during a reload that takes long, since its worker serves on', async () => {
    const started = await start();
    const global = '  maxconn 200\n  lua-load DIRECTORY/slow.lua';
    const slow = rendering(answering(address, { global, answer: 'slow' }), {
      'slow.lua': 'os.execute("sleep 4")\n',
    });
    const reloading = started.reload({ ...config(address), render: slow });
    let asked = 0;
    for (let isDone = false; !isDone; asked++) {
      assert.ok(started.isAlive(), `asked ${asked} times before`);
      assert.ok(await fetchText(address));
      isDone = await Promise.race([reloading.then(() => true), sleep(50, false)]);
    }
    assert.ok((await reloading).inForce);
    assert.ok(asked > 100, `${asked}`);
    assert.equal(await fetchText(address), 'slow');
  });

  it('is not alive when its worker hangs', async () => {
    const started = await start();
    process.kill(worker(), 'SIGSTOP');
    try {
      await eventually('silence', () => !started.isAlive() || undefined);
    } finally {
      process.kill(worker(), 'SIGCONT');
    }
    await eventually('an answer', () => started.isAlive() || undefined);
  });
});
