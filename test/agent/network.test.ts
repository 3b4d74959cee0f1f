/** The agent on a real interface: frames on a wire reach sockets on the VIP, and nothing stays behind. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { keyWord } from '#anyhop/packet/second-chance-key.js';
import {
  frame,
  type GreOptions,
  gre,
  icmpError,
  ipv4,
  type Layer,
  packet,
  payload,
  ROUTER_MAC,
  tcp,
  udp,
} from '../packets/build.js';
import type { DecodedPacket } from '../packets/decode.js';
import { Backend, INTERFACE, networkSkip } from './backend.js';
import { CLIENT, CLIENT6, inner4, inner6, KEYS, outer4, outer6, VIP, VIP6 } from './fixture.js';

const READY_TIMEOUT_MS = 20_000;
/** `mode` of ip -j: in the driver, or before the stack. */
const IP_XDP_NATIVE = 1;
const IP_XDP_GENERIC = 2;

describe('anyhop agent on an interface', { skip: networkSkip() }, () => {
  let backend: Backend;
  before(async () => {
    backend = await Backend.make();
  });
  after(() => backend?.close());

  const FLOWS = [
    { name: 'IPv4', outer: outer4, inner: inner4, client: CLIENT, vip: VIP },
    { name: 'IPv6', outer: outer6, inner: inner6, client: CLIENT6, vip: VIP6 },
  ] as const;

  /** Whether a UDP datagram through the tunnel is answered with the same text, straight from the VIP. */
  async function echo(sport: number, outer: Layer, flow: (typeof FLOWS)[number]): Promise<void> {
    const text = `datagram ${sport}`;
    backend.send(frame({}, outer, gre(), flow.inner(), udp({ sport, dport: 53 }), payload(text)));
    const answer = await backend.answer(
      `answer to ${text}`,
      ({ transport }) => transport?.kind === 'udp' && transport.dport === sport,
    );
    assert.deepEqual([answer.src, answer.dst], [flow.vip, flow.client]);
    assert.equal(data(answer), text);
  }

  test('delivers UDP and TCP in all four family mixes and takes its program off when stopped', async () => {
    const agent = await backend.startAgent();
    const ready = await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    assert.deepEqual([ready['interface'], ready['mode'], ready['replaced']], [INTERFACE, 'native', false]);
    assert.equal((await backend.xdp())?.mode, IP_XDP_NATIVE);

    let sport = 40000;
    for (const { outer } of FLOWS) for (const flow of FLOWS) await echo(sport++, outer(), flow);
    for (const flow of FLOWS) await tcpEcho(sport++, flow);
    const stranger = outer4({ src: '192.0.2.66' });
    backend.send(frame({}, stranger, gre(), inner4(), udp({ sport, dport: 53 })));
    await echo(sport + 1, outer4(), FLOWS[0]);

    assert.deepEqual(await agent.stop('SIGINT'), { code: 0, signal: null });
    assert.equal(await backend.xdp(), undefined);
    assert.deepEqual(backend.pins(), []);
    const { verdicts } = agent.events.find(({ event }) => event === 'counters') as unknown as {
      verdicts: Record<string, number>;
    };
    // 4 + 1 datagrams; SYN and data for each TCP flow.
    assert.deepEqual([verdicts['delivered'], verdicts['drop_stranger']], [5 + 2 * 2, 1]);
  });

  /** What a TCP or UDP packet carries, as text. */
  const data = ({ transport }: DecodedPacket): string =>
    transport?.kind === 'udp' || transport?.kind === 'tcp' ? Buffer.from(transport.data).toString() : '';

  /** SYN, then data, each through the tunnel and with a key; the kernel's answers come back bare. */
  async function tcpEcho(sport: number, { inner, outer }: (typeof FLOWS)[number]): Promise<void> {
    const segment = (o: Partial<Parameters<typeof tcp>[0]>, ...rest: Layer[]): void =>
      backend.send(frame({}, outer(), gre({ key: 9 }), inner(), tcp({ sport, dport: 80, ...o }), ...rest));
    const fromServer = (packet: DecodedPacket): boolean =>
      packet.transport?.kind === 'tcp' && packet.transport.dport === sport;
    segment({ flags: ['syn'], sequence: 1000, acknowledgment: 0 });
    const synAck = await backend.answer('SYN-ACK', fromServer);
    const header = Buffer.from(synAck.payload);
    assert.equal(header[13], 0x12);
    const rest = { flags: ['ack', 'psh'], sequence: 1001 } as const;
    segment({ ...rest, acknowledgment: header.readUInt32BE(4) + 1 }, payload('hello'));
    await backend.answer('echo', (packet) => fromServer(packet) && data(packet) === 'hello');
  }

  /** A segment of no connection here is seen on its way to the alternate. */
  async function strayGoesOn(
    sport: number,
    { inner, outer, peer, key, sent }: (typeof STRAYS)[number],
  ): Promise<void> {
    const layers = [inner(), tcp({ sport, dport: 80, flags: ['ack'] }), payload('stray')];
    backend.send(frame({}, outer(), gre(key), ...layers));
    const { transport, src } = await backend.answer('packet for the peer', ({ dst }) => dst === peer);
    assert.equal(src, peer.replace(/2$/, '1'));
    assert.ok(transport?.kind === 'gre');
    assert.deepEqual([transport.key, transport.alternates], [sent, sent !== undefined]);
    assert.deepEqual(transport.inner, packet(...layers));
  }

  /** By ids: in place, passed over this host's other address, to the other family; and by keys of the former format. */
  const ids = (index: number, id1: number, id2: number): GreOptions => ({
    key: keyWord(index, id1, id2),
    alternates: true,
  });
  const STRAYS = [
    { ...FLOWS[0], peer: '10.1.0.12', key: ids(0, 12, 18), sent: keyWord(1, 12, 18) },
    { ...FLOWS[1], peer: 'fd00:1::12', key: ids(0, 11, 18), sent: keyWord(2, 11, 18) },
    { ...FLOWS[0], peer: 'fd00:1::12', key: ids(1, 17, 18), sent: keyWord(2, 17, 18) },
    { ...FLOWS[0], peer: '10.1.0.12', key: { key: KEYS.peer4 }, sent: undefined },
    { ...FLOWS[1], peer: 'fd00:1::12', key: { key: KEYS.peer6 }, sent: undefined },
  ] as const;

  test('sends on to the alternate what has no socket here, also after the agent was killed', async () => {
    const agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    for (const stray of STRAYS) await strayGoesOn(43000, stray);
    for (const [i, flow] of FLOWS.entries()) await tcpEcho(43010 + i, flow);
    agent.kill();
    await agent.exited;
    for (const stray of STRAYS) await strayGoesOn(43001, stray);
    const next = await backend.startAgent();
    await next.waitForEvent('ready', READY_TIMEOUT_MS);
    for (const stray of STRAYS) await strayGoesOn(43002, stray);
    assert.equal((await next.stop('SIGINT')).code, 0);
  });

  test('follows the next hop of a peer', async () => {
    const agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    await strayGoesOn(44000, STRAYS[0]);
    const set = ['neigh', 'replace', STRAYS[0].peer, 'dev', INTERFACE, 'lladdr'];
    await backend.ip(...set, '02:00:00:00:00:77');
    const isMoved = (line: string): boolean => line.includes('is now 02:00:00:00:00:77');
    await agent.waitForLine(isMoved, 'the new next hop', READY_TIMEOUT_MS);
    backend.send(
      frame({}, outer4(), gre({ key: KEYS.peer4 }), inner4(), tcp({ sport: 44001, dport: 80 }), payload('x')),
    );
    await backend.frameTo('02:00:00:00:00:77');
    await backend.ip(...set, ROUTER_MAC);
    assert.equal((await agent.stop('SIGINT')).code, 0);
  });

  test('learns from a router what the path to a peer takes, and drops what is larger under a name', async () => {
    const agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    const stray = (sport: number, bytes: number): void =>
      backend.send(
        frame(
          {},
          outer4(),
          gre({ key: KEYS.peer4 }),
          ipv4({ src: CLIENT, dst: VIP, df: true }),
          tcp({ sport, dport: 80, flags: ['ack'] }),
          payload(bytes),
        ),
      );
    stray(46000, 1400);
    const lost = await backend.answer('large packet for the peer', ({ dst }) => dst === STRAYS[0].peer);
    const about = packet(
      ipv4({ src: lost.src, dst: lost.dst, df: true, protocol: 47 }),
      payload(Buffer.from(lost.payload)),
    );
    assert.equal(about.length, 20 + 4 + 40 + 1400);
    backend.send(
      frame({}, ipv4({ src: '10.9.9.9', dst: lost.src }), icmpError({ type: 3, code: 4, mtu: 1400, about })),
    );
    await agent.waitForEvent('path_mtu', READY_TIMEOUT_MS);
    stray(46001, 1400);
    await strayGoesOn(46002, STRAYS[0]);
    assert.equal((await agent.stop('SIGINT')).code, 0);
    const { verdicts } = agent.events.find(({ event }) => event === 'counters') as unknown as {
      verdicts: Record<string, number>;
    };
    assert.deepEqual([verdicts['sent_on'], verdicts['drop_peer_too_big']], [2, 1]);
  });

  test('takes a handshake that is under a SYN cookie for its own, and no made-up one', async () => {
    await backend.sysctl('net.ipv4.tcp_syncookies=2'); // without exception
    try {
      const agent = await backend.startAgent();
      await agent.waitForEvent('ready', READY_TIMEOUT_MS);
      for (const [i, flow] of FLOWS.entries()) await tcpEcho(45000 + i, flow);
      for (const stray of STRAYS) await strayGoesOn(45010, stray);
      assert.equal((await agent.stop('SIGINT')).code, 0);
    } finally {
      await backend.sysctl('net.ipv4.tcp_syncookies=1');
    }
  });

  test('goes on delivering when it is killed, and the next agent takes over', async () => {
    const first = await backend.startAgent();
    await first.waitForEvent('ready', READY_TIMEOUT_MS);

    const rival = await backend.startAgent();
    assert.equal((await rival.exited).code, 3);
    assert.match(rival.tail(), /another "anyhop agent" runs on interface under\.42/);
    await echo(41000, outer4(), FLOWS[0]);

    first.kill();
    await first.exited;
    assert.equal((await backend.xdp())?.prog.name, 'anyhop_agent');
    await echo(41001, outer4(), FLOWS[0]);
    // Nobody else can take the place.
    await assert.rejects(
      backend.ip('link', 'set', 'dev', INTERFACE, 'xdp', 'off'),
      /Can't replace active BPF XDP link/,
    );

    const second = await backend.startAgent();
    const ready = await second.waitForEvent('ready', READY_TIMEOUT_MS);
    assert.deepEqual([ready['replaced'], ready['pinned']], [true, true]);
    await echo(41002, outer4(), FLOWS[0]);
    assert.deepEqual(await second.stop('SIGINT'), { code: 0, signal: null });
    const counted = second.events.find(({ event }) => event === 'counters')?.['verdicts'];
    assert.equal((counted as Record<string, number>)['delivered'], 3, 'counters go on');
    assert.deepEqual(backend.pins(), []);
    assert.equal(await backend.xdp(), undefined);
  });

  test('says so and ends when its program is taken off', async () => {
    const agent = await backend.startAgent();
    await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    assert.ok(backend.pins().includes('link'));
    backend.detachLink();
    assert.equal((await agent.exited).code, 1);
    assert.ok(agent.events.some(({ event }) => event === 'stop_failed'));
  });

  test('falls back to generic XDP where the driver has none, and says so', async () => {
    const agent = await backend.startAgent('--interface', 'lo');
    const ready = await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    assert.equal(ready['mode'], 'generic');
    assert.equal((await backend.xdp('lo'))?.mode, IP_XDP_GENERIC);
    assert.ok(
      agent.events.some(
        ({ event, msg }) => event === 'environment' && /generic XDP instead/.test(String(msg)),
      ),
    );
    assert.equal((await agent.stop('SIGINT')).code, 0);
    assert.equal(await backend.xdp('lo'), undefined);
  });

  test('pins nothing where that would end with it, and leaves its program all the same', async () => {
    // `ip netns exec` gives each command a mount namespace, with a /sys of its own.
    backend.configure((text) => text.replace(/bpffs: .*/, 'bpffs: /sys/fs/bpf'));
    const agent = await backend.startAgent();
    assert.equal((await agent.waitForEvent('ready', READY_TIMEOUT_MS))['pinned'], false);
    const told = agent.events.find(({ event }) => event === 'not_pinned');
    assert.match(String(told?.['msg']), /belongs to this process's own mount namespace/);
    assert.equal((await agent.stop('SIGTERM')).code, 0);
    await echo(46000, outer4(), FLOWS[0]);
    assert.equal((await backend.agent('--stop', '--bpffs', backend.bpffs)).code, 0);
    assert.equal(await backend.xdp(), undefined);
    backend.configure();
  });

  test("takes packets for a backend's address that comes after its start, and tells of its connections there", async () => {
    const address = 'fd00:1::11';
    await backend.ip('addr', 'del', `${address}/16`, 'dev', INTERFACE);
    const agent = await backend.startAgent();
    const { addresses } = await agent.waitForEvent('ready', READY_TIMEOUT_MS);
    assert.deepEqual(addresses, ['10.1.0.11']);
    await backend.ip('addr', 'add', `${address}/16`, 'dev', INTERFACE, 'nodad');
    await backend.ip('route', 'replace', 'default', 'via', 'fd00::1', 'dev', INTERFACE);
    await agent.waitForEvent('reloaded', READY_TIMEOUT_MS);
    await echo(47000, outer6(), FLOWS[0]);
    while (!(await backend.exec('ss', '-Htln', 'src', `[${address}]`)).includes(address)) await delay(20);
    assert.equal((await agent.stop('SIGINT')).code, 0);
  });

  test('--check says what keeps this host from being a backend', async () => {
    const fine = await backend.startAgent('--check', '--json');
    assert.equal((await fine.exited).code, 0);
    assert.deepEqual(JSON.parse(fine.lines[0]).findings, []);
    assert.equal(JSON.parse(fine.lines[0]).ready, true);
    const wrong = await backend.startAgent('--check', '--interface', 'eth9');
    assert.equal((await wrong.exited).code, 3);
    assert.match(wrong.tail(), /error: there is no interface eth9\n.*there are: lo, under\.42/);
  });

  test("finds its interface where /sys is another network namespace's, as in a unit with NetworkNamespacePath", async () => {
    const below = ['sh', '-c', 'umount /sys && exec "$@"', 'sh'];
    const agent = await backend.startAgentThrough(below, '--check');
    assert.equal((await agent.exited).code, 0, agent.tail());
    assert.match(agent.tail(), /ready: under\.42 \(MTU 1500\)/);
  });
});
