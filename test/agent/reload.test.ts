/** What a SIGHUP does to an agent, what it refuses, and what takes off what agents leave. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentReport } from '#anyhop/agent/report.js';
import type { LabProcess, LogEvent } from '../../scripts/lab/process.js';
import { frame, gre, payload, ROUTER_MAC, tcp, udp } from '../packets/build.js';
import { Backend, INTERFACE, networkSkip } from './backend.js';
import { inner4, outer4, VIP } from './fixture.js';
import { verdictsOf } from './load.js';

const READY_TIMEOUT_MS = 20_000;
/** What is not answered by then is dropped. */
const SILENT_MS = 3_000;
/** Long enough to send a packet within it, however busy the machine is. */
const SETTLE_S = 6;

describe('anyhop agent', { skip: networkSkip() }, () => {
  let backend: Backend;
  let sport = 50_000;
  before(async () => {
    backend = await Backend.make();
  });
  after(() => backend?.close());
  // One that failed must not spoil the next.
  const started: LabProcess[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((agent) => agent.stop('SIGINT')));
  });

  async function start(): Promise<LabProcess> {
    const agent = await backend.startAgent();
    started.push(agent);
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    return agent;
  }

  /** SIGHUP, with the config as `change` leaves it. @returns what the agent says to it */
  async function hangUp(agent: LabProcess, change?: (text: string) => string): Promise<LogEvent> {
    const answers = (): LogEvent[] => agent.events.filter(({ event }) => event?.startsWith('reload'));
    const before = answers().length;
    backend.configure(change);
    process.kill(agent.pid, 'SIGHUP');
    while (answers().length === before) await delay(5);
    return answers()[before];
  }

  /** A datagram through the tunnel is answered. */
  async function delivers(port = 53, withinMs?: number): Promise<void> {
    const own = sport++;
    backend.send(frame({}, outer4(), gre(), inner4(), udp({ sport: own, dport: port }), payload('hello')));
    await backend.answer(
      'answer',
      ({ transport }) => transport?.kind === 'udp' && transport.dport === own,
      withinMs,
    );
  }

  /** A segment of no connection here, with the key of this address, goes there. */
  async function sendsOn(peer: string, withinMs?: number): Promise<void> {
    const key = Buffer.from(peer.split('.').map(Number)).readUInt32BE();
    backend.send(frame({}, outer4(), gre({ key }), inner4(), tcp({ sport: sport++, dport: 80 })));
    await backend.answer('packet for the peer', ({ dst }) => dst === peer, withinMs);
  }

  const settlesSoon = (text: string): string =>
    text.replace(/^( {2}web6?:)\n/gm, `$1\n    settle_time: ${SETTLE_S}s\n`);

  /** What the config before had is over: a reload of the agent's own is in force. */
  async function settled(agent: LabProcess): Promise<void> {
    const at = (event: string): number => agent.events.findLastIndex((each) => each.event === event);
    const before = at('settled');
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (at('settled') === before || at('reloaded') < at('settled')) {
      assert.ok(Date.now() < deadline, agent.tail());
      await delay(20);
    }
  }

  const otherPort = (text: string): string => text.replace('port: 53, pool: web}', 'port: 54, pool: web}');

  const addPeer = (text: string): string =>
    text.replace('address: 10.1.0.12}', 'address: 10.1.0.12}\n      - {name: web-3, address: 10.1.0.13}');

  test('makes a backend that is added a peer when it is reloaded, and forgets one that is gone a settle time later, as it does a service', async () => {
    await backend.ip('neigh', 'add', '10.1.0.13', 'lladdr', ROUTER_MAC, 'dev', INTERFACE);
    backend.configure(settlesSoon);
    const agent = await start();
    await sendsOn('10.1.0.12');
    await assert.rejects(sendsOn('10.1.0.13', SILENT_MS), /no packet for the peer/);
    assert.equal((await hangUp(agent, (text) => addPeer(settlesSoon(text))))['event'], 'reloaded');
    await sendsOn('10.1.0.13');
    await sendsOn('10.1.0.12');
    await delivers();
    await hangUp(agent, (text) => otherPort(settlesSoon(text)));
    await sendsOn('10.1.0.13'); // for the settle time: forwarders do not reload at the same moment
    await delivers();
    await settled(agent);
    await assert.rejects(sendsOn('10.1.0.13', SILENT_MS), /no packet for the peer/);
    assert.equal((await agent.stop('SIGINT')).code, 0);
    const { sent_on, drop_peer_unknown, delivered } = verdictsOf(agent.events);
    assert.deepEqual(
      { sent_on, drop_peer_unknown, delivered },
      { sent_on: 4, drop_peer_unknown: 2, delivered: 2 },
    );
  });

  test('takes GRE from former forwarders, and at its former address, for a settle time after the reload', async () => {
    await backend.ip('addr', 'add', '10.1.0.21/8', 'dev', INTERFACE);
    backend.configure(settlesSoon);
    const agent = await start();
    const renumbered = (text: string): string =>
      settlesSoon(text)
        .replace('10.0.0.0/28', '10.9.9.9')
        .replace('address: 10.1.0.11}', 'address: 10.1.0.21}');
    assert.equal((await hangUp(agent, renumbered))['event'], 'reloaded');
    await delivers();
    assert.equal((await backend.agent('--status')).code, 0, 'reports at the new address');
    await settled(agent);
    await assert.rejects(delivers(53, SILENT_MS), /no answer/);
    assert.equal((await hangUp(agent, settlesSoon))['event'], 'reloaded');
    await delivers();
    await backend.ip('addr', 'del', '10.1.0.21/8', 'dev', INTERFACE);
    assert.equal((await agent.stop('SIGINT')).code, 0);
  });

  test('knows after a restart what the config before had, and refuses an id that another backend had', async () => {
    backend.configure(settlesSoon);
    const first = await start();
    assert.equal((await first.stop('SIGTERM')).code, 0);
    const moved = (text: string): string =>
      settlesSoon(text)
        .replace('10.0.0.0/28', '10.9.9.9')
        .replace('address: 10.1.0.12}', 'address: 10.2.0.12, id: 900}');
    backend.configure((text) => moved(text).replace(', id: 900', ''));
    const { code, text } = await backend.agent();
    assert.equal(code, 2);
    assert.match(text, /10\.2\.0\.12 has the id 12, which 10\.1\.0\.12 had within the settle time/);
    await delivers(); // the program of the first one
    backend.configure(moved);
    const agent = await start();
    await delivers();
    await sendsOn('10.1.0.12');
    agent.kill();
    await agent.exited;
    const next = await start(); // a restart forgets nothing and prolongs nothing
    await delivers();
    await sendsOn('10.1.0.12');
    await settled(next);
    await assert.rejects(delivers(53, SILENT_MS), /no answer/);
    assert.equal((await next.stop('SIGINT')).code, 0);
    backend.configure();
  });

  test('takes an id that it refused a settle time later, over restarts, though it missed the config between', async () => {
    backend.configure(settlesSoon);
    const first = await start();
    assert.equal((await first.stop('SIGTERM')).code, 0);
    backend.configure((text) => settlesSoon(text).replace('address: 10.1.0.12}', 'address: 10.2.0.12}'));
    assert.equal((await backend.agent()).code, 2);
    await delay(SETTLE_S * 1000);
    const next = await start();
    await delivers();
    assert.equal((await next.stop('SIGINT')).code, 0);
    backend.configure();
  });

  test('refuses a bad config with its file and line, and what is in force stays', async () => {
    const agent = await start();
    const program = await backend.xdp();
    const bad = (text: string): string => text.replace('address: 10.1.0.12}', 'address: 10.1.0.256}');
    const refused = await hangUp(agent, bad);
    assert.equal(refused['event'], 'reload_refused');
    assert.match(String(refused['msg']), /agent\.yaml:\d+:\d+: pools\.web\.backends\[1\]\.address: /);
    const foreign = (text: string): string => text.replaceAll('11}', '99}').replaceAll('11"}', '99"}');
    assert.match(String((await hangUp(agent, foreign))['msg']), /none of the backends/);
    const another = (text: string): string => text.replace('address: 10.1.0.12}', 'address: 10.2.0.12}');
    assert.match(
      String((await hangUp(agent, another))['msg']),
      /10\.2\.0\.12 has the id 12, which 10\.1\.0\.12/,
    );
    const moved = (text: string): string => text.replace(/bpffs: .*/, 'bpffs: /run/elsewhere');
    assert.match(String((await hangUp(agent, moved))['msg']), /agent\.bpffs is \/run\/elsewhere now/);
    assert.deepEqual(await backend.xdp(), program);
    await delivers();
    assert.equal((await hangUp(agent))['event'], 'reloaded');
    assert.notDeepEqual(await backend.xdp(), program);
    await delivers();
    assert.equal((await agent.stop('SIGINT')).code, 0);
  });

  test('refuses another interface without a restart', async () => {
    const on = (name: string) => (text: string) => `${text}  interface: ${name}\n`;
    backend.configure(on(INTERFACE));
    const agent = await backend.startAgentWithoutInterface();
    started.push(agent);
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    const refused = await hangUp(agent, on('lo'));
    assert.match(String(refused['msg']), /agent\.interface is lo now, and was under\.42/);
    assert.equal(await backend.xdp('lo'), undefined);
    await delivers();
    assert.equal((await agent.stop('SIGINT')).code, 0);
  });

  test('takes a service that is new when it is reloaded', async () => {
    backend.configure(otherPort);
    const agent = await start();
    backend.send(frame({}, outer4(), gre(), inner4(), udp({ sport: sport++, dport: 53 }), payload('hello')));
    await hangUp(agent);
    await delivers();
    assert.equal((await agent.stop('SIGINT')).code, 0);
    assert.equal(verdictsOf(agent.events)['delivered'], 1, 'the second one');
  });

  test('--status tells what the agent on this host has to report, and where there is none', async () => {
    const agent = await start();
    await delivers();
    const { code, text } = await backend.agent('--status', '--json');
    assert.equal(code, 0, text);
    const { vips, verdicts, version }: AgentReport = JSON.parse(text);
    assert.match(version, /^\d+\.\d+\.\d+/);
    assert.deepEqual(vips[0], { vip: VIP, protocol: 'tcp', established: 0, services: { web: 0 } });
    assert.equal(verdicts['delivered'], 1);
    assert.match((await backend.agent('--status')).text, /^anyhop .*\n(.*\n)*delivered +1$/m);
    const moved = (each: string): string => `${each}  report_port: 9612\n`;
    await hangUp(agent, moved);
    assert.equal((await backend.agent('--status')).code, 0, 'on the port of the new config');
    assert.equal((await agent.stop('SIGINT')).code, 0);
    const none = await backend.agent('--status');
    assert.equal(none.code, 1);
    assert.match(none.text, /the agent at \[?[\d.:a-f]+\]?:9612 does not answer: connection refused/);
  });

  test('--stop takes off what an agent has left, and not from under one that runs', async () => {
    const agent = await start();
    const stop = () => backend.agent('--stop', '--bpffs', backend.bpffs);
    const running = await stop();
    assert.equal(running.code, 3);
    assert.match(running.text, /another "anyhop agent" runs on interface under\.42\n.*End it first/);
    await agent.stop('SIGTERM');
    await delivers();
    const stopped = await backend.agent('--stop', '--bpffs', backend.bpffs, '--json');
    assert.equal(stopped.code, 0, stopped.text);
    assert.equal(JSON.parse(stopped.text).removed.attached.mode, 'native');
    assert.equal(await backend.xdp(), undefined);
    assert.deepEqual(backend.pins(), []);
    const again = await stop();
    assert.deepEqual(
      [again.code, again.text],
      [0, `no agent's program is on under.42 (looked in ${backend.bpffs})`],
    );
  });

  test('--stop takes off what has no pin, and pins that nothing is attached to', async () => {
    backend.configure((text) => text.replace(/bpffs: .*/, `bpffs: ${backend.config}`));
    const unpinned = await start();
    await unpinned.stop('SIGTERM');
    await delivers();
    assert.match(
      (await backend.agent('--stop', '--bpffs', backend.bpffs)).text,
      /^stopped delivering on under\.42/,
    );
    assert.equal(await backend.xdp(), undefined);
    backend.configure();
    const agent = await start();
    agent.kill();
    await agent.exited;
    backend.detachLink();
    assert.notDeepEqual(backend.pins(), []);
    assert.match((await backend.agent('--stop', '--bpffs', backend.bpffs)).text, /^removed what was left/);
    assert.deepEqual(backend.pins(), []);
  });

  test('pins without a program do not keep an agent from starting', async () => {
    const first = await start();
    first.kill();
    await first.exited;
    backend.detachLink();
    const agent = await start();
    assert.ok(agent.events.some(({ event }) => event === 'stale_pins'));
    await delivers();
    assert.equal((await agent.stop('SIGINT')).code, 0);
    assert.equal(verdictsOf(agent.events)['delivered'], 1);
  });
});
