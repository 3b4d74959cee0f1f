/** A drain that a backend's host asks for: all forwarders follow its agent's report, the host knows when, and no connection breaks. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AgentReport } from '#anyhop/agent/report.js';
import type { BackendStatus, NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { fourMixes } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { backendAddresses, VIP4, VIP6 } from '../../scripts/lab/topology.js';
import type { Held } from './held-connections.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const HELD_CONNECTIONS = fileURLToPath(new URL('./held-connections.js', import.meta.url));
const TIMEOUT_MS = 240_000;
const WAIT_MS = 30_000;
const CONNECTIONS = 30;
const BACKENDS = [1, 2, 3].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));
const FORWARDERS = [0, 1] as const;

describe('a host that asks to be drained', {
  skip: missingForLab()?.message ?? false,
  timeout: TIMEOUT_MS,
}, () => {
  let lab: Lab;
  let nodes: LabProcess[];
  let agents: LabProcess[];
  let client: LabProcess;
  let firstSourcePort = 30_000;
  before(async () => {
    const services = fourMixes(BACKENDS).slice(0, 2);
    lab = await createLab({
      forwarders: 2,
      backends: 3,
      engine: 'xdp',
      services: services.map((service) => ({ ...service, secondChance: 'on' as const })),
      pool: { settle_time: '1s' }, // what the drain needs is remembered for as long as it lasts
    });
    ({ forwarders: nodes, agents } = await lab.startAll());
    const argv = [process.execPath, HELD_CONNECTIONS, `${HTTP_PORTS[0]}`, `${CONNECTIONS}`, VIP4, VIP6];
    client = await lab.resources.startProcess('held connections', lab.client.namespace, argv);
    await client.waitForLine((line) => line === 'open', 'answers on all connections', WAIT_MS);
  });
  after(() => lab?.close());

  /** Runs a command on web-2. */
  const onHost = (...args: string[]): Promise<string> => {
    const argv = [process.execPath, MAIN, 'agent', '-c', lab.configFile, ...args];
    return run(inNamespace(lab.backends[1]!.namespace, argv), { timeoutMs: 2 * WAIT_MS });
  };
  const onForwarder = (index: number, ...args: string[]): Promise<string> =>
    run([process.execPath, MAIN, ...args, '--socket', lab.socket(index)], { timeoutMs: WAIT_MS });
  const web2 = async (index: number): Promise<BackendStatus[]> => {
    const { pools } = (await ask(lab.socket(index), '/status')) as NodeStatus;
    return pools.map(({ backends }) => backends.find(({ name }) => name === 'web-2')!);
  };
  const statesOf = async (index: number): Promise<string> =>
    (await web2(index)).map(({ state }) => state).join();
  const report = async (): Promise<AgentReport> => JSON.parse(await onHost('--status', '--json'));
  const soon = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    for (const deadline = Date.now() + WAIT_MS; !(await isSo()); await delay(200))
      assert.ok(Date.now() < deadline, `${what}: not within ${WAIT_MS} ms`);
  };
  const everywhere = (states: string): Promise<void> =>
    soon(`${states} on both forwarders`, async () => {
      const all = await Promise.all(FORWARDERS.map(statesOf));
      return all.every((one) => one === states);
    });
  /** Who answers new connections over IPv4 and IPv6. */
  const answering = async (): Promise<Set<string | null>> => {
    const port = HTTP_PORTS[0]!;
    firstSourcePort += 200;
    const requests = [VIP4, VIP6].flatMap((vip) => getRequests(vip, port, { count: 60, firstSourcePort }));
    const answers = await lab.request({ requests, concurrency: 20, timeoutMs: WAIT_MS });
    assert.deepEqual(
      answers.flatMap(({ error }) => error ?? []),
      [],
    );
    return new Set(answers.map(({ backend }) => backend));
  };

  test('gets no new connection from any forwarder, keeps those it has, and learns that all have followed', async () => {
    assert.deepEqual(await answering(), new Set(['web-1', 'web-2', 'web-3']));
    assert.deepEqual([(await report()).draining, await statesOf(0)], [false, 'active,active']);
    assert.match(
      await onHost('--drain'),
      /10\.1\.2\.1: asks to be drained \(.*draining-10\.1\.2\.1\)\n.*draining-fd00_/,
    );
    await everywhere('draining,draining');
    for (const index of FORWARDERS) {
      for (const { drain, slots } of await web2(index))
        assert.deepEqual([drain!.askedBy, slots], [['agent'], 0]);
      assert.match(
        await onForwarder(index, 'status'),
        /web-2: draining, \d+ connections left, until [\d :-]+, asked by its agent/,
      );
    }
    await soon('the agent knows of both', async () => {
      const { draining, forwarders } = await report();
      return draining && forwarders.length === 2 && forwarders.every((one) => one.draining);
    });
    const { forwarders } = await report();
    assert.deepEqual(
      forwarders.map(({ address }) => address),
      lab.forwarders.map(({ host4 }) => host4),
    );
    assert.match(
      await onHost('--status'),
      /this host asks to be drained\n.*\n10\.0\.1\.1 +yes +\d+s ago +5s\n/,
    );
    assert.deepEqual(await answering(), new Set(['web-1', 'web-3']));
    assert.match(await onHost('--drain'), /already asks/);
  });

  test('is not undrained by an operator on a forwarder, who can say the same beside it', async () => {
    for (const plan of [[], ['--plan'], ['--force']])
      await assert.rejects(
        onForwarder(0, 'undrain', 'web-2', ...plan),
        /the agent of web-2 asks for its drain[\s\S]*anyhop agent --undrain/,
      );
    await onForwarder(0, 'drain', 'web-2');
    assert.deepEqual((await web2(0))[0]!.drain!.askedBy, ['runtime', 'agent']);
    assert.match(
      await onForwarder(0, 'undrain', 'web-2'),
      /web-2 goes on draining, because its agent asks for it/,
    );
    assert.deepEqual((await web2(0))[0]!.drain!.askedBy, ['agent']);
    assert.equal(await statesOf(0), 'draining,draining');
  });

  test('drains on while its agent does not answer, and while a forwarder is killed and started again', async () => {
    agents[1]!.kill();
    await agents[1]!.exited;
    nodes[0]!.kill();
    await nodes[0]!.exited;
    nodes[0] = await lab.startForwarder(0);
    assert.equal(await statesOf(0), 'draining,draining');
    await soon('its agent is silent', async () =>
      (await web2(0)).every(({ agent }) => agent?.reachable === false),
    );
    assert.equal(await statesOf(0), 'draining,draining');
    agents[1] = await lab.startAgent(1);
    await soon('its agent answers', async () =>
      (await web2(0)).every(({ agent }) => agent?.draining === true),
    );
    assert.equal(await statesOf(0), 'draining,draining');
  });

  test('is waited for until its last connection has ended, none of them broken', async () => {
    const waiting = onHost('--drain', '--wait');
    await client.stop();
    const held: Held = JSON.parse(client.lines.at(-1)!);
    assert.ok(held['web-2']!.held > 0);
    assert.deepEqual(
      Object.values(held).map(({ broken }) => broken),
      [0, 0, 0],
    );
    assert.match(await waiting, /(drained by 2 forwarders, no connection is left\n.*){2}/);
  });

  test('gets new connections again once it asks no longer', async () => {
    assert.match(await onHost('--undrain'), /no longer asks to be drained/);
    await everywhere('active,active');
    assert.match(await onHost('--undrain'), /did not ask to be drained/);
    assert.deepEqual(await answering(), new Set(['web-1', 'web-2', 'web-3']));
    const events = nodes[1]!.events.map(({ event }) => event);
    assert.ok(events.includes('drain_asked') && events.includes('drain_no_longer_asked'));
    const change = nodes[1]!.events.find(
      ({ event, changes }) => event === 'pool_change' && /active/.test(String(changes)),
    );
    assert.match(String(change?.['msg']), /web-2 state active -> draining \(asked by its agent\)/);
    assert.ok(agents[1]!.events.some(({ event }) => event === 'drain_no_longer_asked'));
  });
});

describe('a drain that a host asks for while two other changes are open', {
  skip: missingForLab()?.message ?? false,
  timeout: TIMEOUT_MS,
}, () => {
  let lab: Lab;
  before(async () => {
    const services = fourMixes(BACKENDS).slice(0, 1);
    lab = await createLab({
      forwarders: 1,
      backends: 3,
      engine: 'xdp',
      services,
      pool: { settle_time: '5m' },
    });
    await lab.startForwarder(0);
    await lab.startAgent(1);
  });
  after(() => lab?.close());

  test('waits its turn and says so, is neither cancelled nor taken for one in force, and can be forced', async () => {
    const onForwarder = (...args: string[]): Promise<string> =>
      run([process.execPath, MAIN, ...args, '--socket', lab.socket(0)], { timeoutMs: WAIT_MS });
    const onHost = (...args: string[]): Promise<string> => {
      const argv = [process.execPath, MAIN, 'agent', '-c', lab.configFile, ...args];
      return run(inNamespace(lab.backends[1]!.namespace, argv), { timeoutMs: WAIT_MS });
    };
    const followed = async (): Promise<string> => {
      const { forwarders }: AgentReport = JSON.parse(await onHost('--status', '--json'));
      return forwarders.map(({ draining }) => draining).join();
    };
    for (const weight of ['2', '3']) assert.match(await onForwarder('weight', 'web-1', weight), /in force/);
    await onHost('--drain');
    let changes = '';
    for (const deadline = Date.now() + WAIT_MS; !/asked by its agent/.test(changes); await delay(200)) {
      assert.ok(Date.now() < deadline, changes);
      changes = await onForwarder('changes');
    }
    const [, id = ''] =
      /^(\S+:\d+) .* web-2 state active -> draining \(asked by its agent\)$/m.exec(changes) ?? [];
    assert.match(
      await onForwarder('status'),
      new RegExp(`${id} waits until .*: web-2 state active -> draining \\(asked by its agent\\)`),
    );
    assert.equal(await followed(), 'false');
    await assert.rejects(
      onForwarder('cancel', id),
      new RegExp(`exit code 1[\\s\\S]*the agent of web-2 asked for ${id}[\\s\\S]*anyhop agent --undrain`),
    );
    await assert.rejects(onForwarder('undrain', 'web-2'), /asks for its drain/);
    await onForwarder('force', id);
    for (const deadline = Date.now() + WAIT_MS; (await followed()) !== 'true'; await delay(200))
      assert.ok(Date.now() < deadline, 'the agent never learns it');
  });
});
