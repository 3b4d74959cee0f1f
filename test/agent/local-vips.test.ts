/** VIPs that this host does not have: no packet for one of them is handed to the kernel, which might route it back. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentReport } from '#anyhop/agent/report.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { frame, gre, icmpError, ipv4, packet, payload, tcp, udp } from '../packets/build.js';
import { Backend, networkSkip } from './backend.js';
import {
  CLIENT,
  delivers,
  inner4,
  inner6,
  judge,
  KEYS,
  loadAgent,
  outer4,
  refuses,
  SKIP,
  VIP,
  wrapped,
} from './fixture.js';

/** Of anything that is waited for. */
const READY_TIMEOUT_MS = 20_000;
const NOT_LOCAL = 'drop_vip_not_local';

test('whatever would be delivered for a VIP that is not here is dropped, and nothing for another VIP', {
  skip: SKIP,
}, () => {
  const agent = loadAgent({ absent: [0] }); // 203.0.113.10
  const quoted = packet(ipv4({ src: VIP, dst: CLIENT }), tcp({ sport: 80, dport: 40000 }));
  refuses(agent, wrapped(inner4(), tcp({ sport: 40000, dport: 80, flags: ['syn'] })), NOT_LOCAL);
  refuses(agent, wrapped(inner4(), tcp({ sport: 40000, dport: 80, flags: ['ack'] })), NOT_LOCAL);
  refuses(agent, wrapped(inner4(), udp({ sport: 40000, dport: 53 }), payload('x')), NOT_LOCAL);
  refuses(agent, wrapped(inner4({ protocol: 17, fragmentOffset: 100 }), payload('rest')), NOT_LOCAL);
  refuses(
    agent,
    wrapped(ipv4({ src: '192.0.2.1', dst: VIP }), icmpError({ type: 3, about: quoted })),
    NOT_LOCAL,
  );
  // Of no service: the other verdicts come first.
  refuses(agent, wrapped(inner4(), udp({ sport: 40000, dport: 54 }), payload('x')), 'drop_no_service');
  // What another backend may know goes there all the same.
  const keyed = frame({}, outer4(), gre({ key: KEYS.peer4 }), inner4(), tcp({ sport: 40000, dport: 80 }));
  assert.equal(judge(agent, keyed).verdict, 'sent_on');
  const games = [inner4({ dst: '203.0.113.20' }), udp({ sport: 1, dport: 27000 }), payload('x')];
  delivers(agent, wrapped(...games), packet(...games));
  const web6 = [inner6(), tcp({ sport: 1, dport: 80 })];
  delivers(agent, frame({}, outer4(), gre({ etherType: 0x86dd }), ...web6), packet(...web6));
  agent.close();
});

describe('anyhop agent on a host that forwards', { skip: networkSkip() }, () => {
  let backend: Backend;
  let sport = 30_000;
  before(async () => {
    backend = await Backend.make();
    await backend.sysctl('net.ipv4.ip_forward=1');
  });
  after(() => backend?.close());
  const started: LabProcess[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((agent) => agent.stop('SIGINT')));
    backend.configure();
    await backend.ip('addr', 'replace', `${VIP}/32`, 'dev', 'lo');
  });

  async function start(): Promise<LabProcess> {
    const agent = await backend.startAgent();
    started.push(agent);
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    return agent;
  }

  /** A datagram for the VIP through the tunnel. @returns its source port */
  function send(): number {
    const own = sport++;
    backend.send(frame({}, outer4(), gre(), inner4(), udp({ sport: own, dport: 53 }), payload('hello')));
    return own;
  }

  async function isAnswered(): Promise<void> {
    const own = send();
    await backend.answer('answer', ({ transport }) => transport?.kind === 'udp' && transport.dport === own);
  }

  /** The datagram leaves the host as it came, for whoever routes it on. */
  async function isRoutedOn(): Promise<void> {
    const own = send();
    await backend.answer('routed datagram', ({ dst, transport }) => {
      return dst === VIP && transport?.kind === 'udp' && transport.sport === own;
    });
  }

  async function report(): Promise<AgentReport> {
    const { code, text } = await backend.agent('--status', '--json');
    assert.equal(code, 0, text);
    return JSON.parse(text) as AgentReport;
  }

  const verdicts = async (): Promise<AgentReport['verdicts']> => (await report()).verdicts;

  async function isDropped(): Promise<void> {
    const before = (await verdicts())[NOT_LOCAL];
    const own = send();
    const deadline = Date.now() + READY_TIMEOUT_MS;
    let after = before;
    while (after === before && Date.now() < deadline) after = (await verdicts())[NOT_LOCAL];
    assert.equal(after, before + 1);
    const left = backend.seen(({ transport }) => transport?.kind === 'udp' && transport.sport === own);
    assert.equal(left, 0, 'nothing of it leaves the host');
  }

  const saysTimes = async (agent: LabProcess, event: string, count: number): Promise<void> => {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (agent.events.filter((each) => each.event === event).length < count) {
      assert.ok(Date.now() < deadline, `${event} for the ${count}. time\n${agent.tail()}`);
      await delay(10);
    }
  };

  test('drops what it unwraps for a VIP that is gone, and delivers when it is back, by an address or a local route', async () => {
    const agent = await start();
    await isAnswered();
    await backend.ip('addr', 'del', `${VIP}/32`, 'dev', 'lo');
    await saysTimes(agent, 'vips_gone', 1);
    await isDropped();
    assert.deepEqual((await report()).missingVips, [VIP], 'forwarders can ask for that');
    await backend.ip('route', 'add', 'local', '203.0.113.0/24', 'dev', 'lo'); // AnyIP
    await saysTimes(agent, 'vips_here', 1);
    await isAnswered();
    assert.deepEqual((await report()).missingVips, []);
    await backend.ip('route', 'del', 'local', '203.0.113.0/24', 'dev', 'lo');
    await saysTimes(agent, 'vips_gone', 2);
    await isDropped();
    await backend.ip('addr', 'add', `${VIP}/32`, 'dev', 'lo');
    await saysTimes(agent, 'vips_here', 2);
    await isAnswered();
  });

  test('starts without the VIP, says that packets for it are dropped, and drops them', async () => {
    await backend.ip('addr', 'del', `${VIP}/32`, 'dev', 'lo');
    const agent = await start();
    const told = agent.events.filter(({ event }) => event === 'environment').map(({ msg }) => String(msg));
    assert.deepEqual(told, [`VIP ${VIP} is not on this host: packets for it are dropped (${NOT_LOCAL})`]);
    await isDropped();
  });

  test('hands packets for a VIP that is elsewhere to the kernel where agent.vip_elsewhere says so', async () => {
    await backend.ip('addr', 'del', `${VIP}/32`, 'dev', 'lo');
    const agent = await start();
    await isDropped();
    backend.configure((text) => `${text}  vip_elsewhere: true\n`);
    process.kill(agent.pid, 'SIGHUP');
    await saysTimes(agent, 'reloaded', 1);
    await isRoutedOn();
    assert.equal((await backend.agent('--check')).code, 0);
  });

  test('--check is ready with a VIP by AnyIP, and not ready without one, in words and by its exit code', async () => {
    await backend.ip('addr', 'del', `${VIP}/32`, 'dev', 'lo');
    const without = await backend.agent('--check');
    assert.equal(without.code, 3);
    assert.equal(
      without.text,
      `not ready: VIP ${VIP} is not on this host: packets for it are dropped (drop_vip_not_local)\n` +
        `  ip addr add ${VIP}/32 dev lo, or agent.vip_elsewhere: true where DNAT or a route takes it elsewhere\n` +
        'not ready to be a backend',
    );
    const json = await backend.agent('--check', '--json');
    assert.equal(json.code, 3);
    assert.equal(JSON.parse(json.text).ready, false);
    await backend.ip('route', 'add', 'local', `${VIP}/32`, 'dev', 'lo');
    const anyIp = await backend.agent('--check');
    await backend.ip('route', 'del', 'local', `${VIP}/32`, 'dev', 'lo');
    assert.equal(anyIp.code, 0, anyIp.text);
    assert.match(anyIp.text, /^ready: /);
  });
});
