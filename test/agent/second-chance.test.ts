/**
 * Second chance in the agent's program: what has a socket here stays, what has none goes to the alternate in the right
 * bytes. The keys are of the former format, which names one alternate by its address; alternates.test.ts has those with ids.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import {
  frame,
  gre,
  icmpError,
  icmpv6Error,
  ipv4,
  ipv4Fragments,
  ipv6,
  type Layer,
  packet,
  payload,
  type TcpFlag,
  tcp,
  udp,
} from '../packets/build.js';
import { decapsulate } from '../packets/decode.js';
import {
  type AgentOptions,
  delivers,
  HOP,
  judge,
  KEYS,
  loadAgent,
  outer4,
  outer6,
  refuses,
  SKIP,
} from './fixture.js';
import { client, FAMILIES, type Family, LOOPBACK, Sockets } from './sockets.js';

/** No connection comes from it: system ports are not given out. */
const SPORT_UNKNOWN = 700;

const inner = (family: Family, o: { tos?: number } = {}): Layer =>
  family === 4
    ? ipv4({ src: client(4), dst: LOOPBACK[4], ttl: 61, tos: o.tos ?? 0 })
    : ipv6({ src: client(6), dst: LOOPBACK[6], hopLimit: 61, trafficClass: o.tos ?? 0 });

describe('second chance', { skip: SKIP }, () => {
  const sockets = new Sockets();
  const agents: BpfObject[] = [];
  let agent: BpfObject;

  const load = (o: AgentOptions = {}): BpfObject => {
    const vips = { '203.0.113.10': LOOPBACK[4], '2001:db8::10': LOOPBACK[6] };
    const made = loadAgent({ vips, port: sockets.port, ...o });
    agents.push(made);
    return made;
  };
  before(async () => {
    await sockets.listen();
    agent = load();
  });
  after(() => {
    for (const each of agents) each.close();
    sockets.close();
  });

  const segment = (sport = SPORT_UNKNOWN, flags: readonly TcpFlag[] = ['ack']): Layer =>
    tcp({ sport, dport: sockets.port, flags });
  const keyed = (key: number | undefined, ...layers: Layer[]): Uint8Array =>
    frame({}, outer4(), gre(key === undefined ? {} : { key }), ...layers);

  /** The frame is sent back out, and around the same inner packet. */
  function sentOn(on: BpfObject, bytes: Uint8Array): ReturnType<typeof decapsulate> {
    const judged = judge(on, bytes);
    assert.deepEqual([judged.verdict, judged.action], ['sent_on', 'tx']);
    return decapsulate(new Uint8Array(judged.frame));
  }

  for (const family of FAMILIES) {
    const about = (sport: number): Uint8Array =>
      family === 4
        ? packet(ipv4({ src: LOOPBACK[4], dst: client(4) }), tcp({ sport: sockets.port, dport: sport }))
        : packet(ipv6({ src: LOOPBACK[6], dst: client(6) }), tcp({ sport: sockets.port, dport: sport }));
    const tooBig = (sport: number): Layer[] =>
      family === 4
        ? [
            ipv4({ src: '192.0.2.1', dst: LOOPBACK[4], ttl: 61 }),
            icmpError({ type: 3, mtu: 1400, about: about(sport) }),
          ]
        : [
            ipv6({ src: '2001:db8:9::1', dst: LOOPBACK[6], hopLimit: 61 }),
            icmpv6Error({ type: 2, mtu: 1400, about: about(sport) }),
          ];

    for (const [outerName, outer] of [
      ['IPv4', outer4()],
      ['IPv6', outer6()],
    ] as const) {
      test(`sends IPv${family} in ${outerName} of an unknown connection on, without key, to either family`, () => {
        const layers = [inner(family, { tos: 0xb9 }), segment(), payload(100)];
        for (const [key, version, src, dst] of [
          [KEYS.peer4, 4, '10.1.0.11', '10.1.0.12'],
          [KEYS.peer6, 6, 'fd00:1::11', 'fd00:1::12'],
        ] as const) {
          const out = sentOn(agent, frame({ vlans: [7] }, outer, gre({ key }), ...layers));
          assert.deepEqual(out.inner, packet(...layers));
          const { bytes: _, flowLabel, ...header } = out.outer;
          const fixed = {
            version,
            src,
            dst,
            dscp: 0x2e,
            ecn: 1,
            ttl: 64,
            df: true,
            id: 0,
            key: undefined,
            alternates: false,
          };
          assert.deepEqual(header, fixed);
          assert.equal(flowLabel !== 0, version === 6);
          assert.deepEqual(out.ethernet, { dst: '02:00:00:00:00:aa', src: '02:00:00:00:00:01', vlans: [] });
        }
      });
    }

    test(`IPv${family}: a listening socket alone holds no connection, whatever the flags, and a SYN is its own`, () => {
      for (const flags of [['ack', 'psh'], ['fin', 'ack'], ['rst'], ['syn', 'ack'], []] as const) {
        sentOn(agent, keyed(KEYS.peer4, inner(family), segment(SPORT_UNKNOWN, flags)));
      }
      const syn = segment(SPORT_UNKNOWN, ['syn']);
      delivers(agent, keyed(KEYS.peer4, inner(family), syn), packet(inner(family), syn));
    });

    test(`IPv${family}: what is established, closing or in time-wait here stays here`, async () => {
      const socket = await sockets.connect(family);
      const sport = socket.localPort!;
      const own = packet(inner(family), segment(sport), payload(9));
      const frameOfOwn = keyed(KEYS.peer4, inner(family), segment(sport), payload(9));
      delivers(agent, frameOfOwn, own);
      delivers(agent, keyed(KEYS.unknown, inner(family), segment(sport), payload(9)), own);
      const error = tooBig(sport);
      delivers(agent, keyed(KEYS.peer6, ...error), packet(...error), 'delivered_icmp_error');
      socket.pause();
      socket.write('close');
      delivers(agent, frameOfOwn, own); // on its way to FIN-WAIT
      socket.resume();
      await once(socket, 'close');
      delivers(agent, frameOfOwn, own);
      // The neighbouring port has nothing.
      sentOn(agent, keyed(KEYS.peer4, inner(family), segment(SPORT_UNKNOWN)));
    });

    test(`IPv${family}: an ICMP error follows the connection that it quotes`, () => {
      const error = tooBig(SPORT_UNKNOWN);
      const out = sentOn(agent, keyed(KEYS.peer4, ...error));
      assert.deepEqual(out.inner, packet(...error));
      delivers(agent, keyed(undefined, ...error), packet(...error), 'delivered_icmp_error');
      refuses(agent, keyed(KEYS.unknown, ...error), 'drop_peer_unknown');
    });

    test(`IPv${family}: without a key everything is delivered here, so no packet can go round`, () => {
      const layers = [inner(family), segment(), payload(40)];
      delivers(agent, keyed(undefined, ...layers), packet(...layers));
    });
  }

  test('UDP and fragments have none', () => {
    const datagram = [ipv4({ src: client(4), dst: LOOPBACK[4] }), udp({ sport: 9, dport: 53 }), payload(10)];
    delivers(agent, keyed(KEYS.peer4, ...datagram), packet(...datagram));
    const [first] = ipv4Fragments({ src: client(4), dst: LOOPBACK[4] }, [segment(), payload(100)], 40);
    delivers(agent, keyed(KEYS.peer4, payload(first)).fill(8, 36, 37), first); // EtherType 0x0800
    const about = packet(ipv4({ src: LOOPBACK[4], dst: client(4) }), udp({ sport: 53, dport: 9 }));
    const error = [inner(4), icmpError({ type: 3, mtu: 1400, about })];
    delivers(agent, keyed(KEYS.peer4, ...error), packet(...error), 'delivered_icmp_error');
  });

  test('what the fleet must not send is refused before anybody is asked', () => {
    const stranger = frame({}, outer4({ src: '192.0.2.66' }), gre({ key: KEYS.peer4 }), inner(4), segment());
    refuses(agent, stranger, 'drop_stranger');
    const other = tcp({ sport: SPORT_UNKNOWN, dport: 1 });
    refuses(agent, keyed(KEYS.peer4, inner(4), other), 'drop_no_service');
    refuses(agent, keyed(KEYS.unknown, inner(4), segment()), 'drop_peer_unknown');
  });

  test('a peer without a next hop gets nothing', () => {
    const cut = load({ hop: { reason: 'it does not answer' } });
    refuses(cut, keyed(KEYS.peer4, inner(4), segment()), 'drop_peer_no_next_hop');
    refuses(cut, keyed(KEYS.peer6, inner(6), segment()), 'drop_peer_no_next_hop');
  });

  test('a key that names this host by another address leaves the packet here', () => {
    const layers = [inner(4), segment()];
    delivers(agent, keyed(0x0a01000b, ...layers), packet(...layers));
    delivers(agent, keyed(0x00000011, ...layers), packet(...layers));
  });

  test('the MTU of the way counts to the byte, with 24 bytes around the packet or 44', () => {
    for (const [key, around] of [
      [KEYS.peer4, 24],
      [KEYS.peer6, 44],
    ] as const) {
      const narrow = load({ hop: { ...HOP, mtu: 1500 } });
      const fits = 1500 - around - 40;
      const out = sentOn(narrow, keyed(key, inner(4), segment(), payload(fits)));
      assert.equal(out.outer.bytes.length, 1500);
      refuses(narrow, keyed(key, inner(4), segment(), payload(fits + 1)), 'drop_peer_too_big');
    }
  });

  test('frames for a VLAN are tagged', () => {
    const tagged = load({ hop: { ...HOP, vlan: 42 } });
    for (const key of [KEYS.peer4, KEYS.peer6]) {
      const layers = [inner(6), segment(), payload(33)];
      const out = sentOn(tagged, keyed(key, ...layers));
      assert.deepEqual(out.ethernet.vlans, [{ id: 42, priority: 0, tpid: 0x8100 }]);
      assert.deepEqual(out.inner, packet(...layers));
    }
  });

  test('congestion that was marked on the first way is told on', () => {
    const layers = (tos: number): Layer[] => [inner(4, { tos }), segment(), payload(5)];
    const marked = frame({}, outer4({ tos: 3 }), gre({ key: KEYS.peer4 }), ...layers(2));
    const out = sentOn(agent, marked);
    assert.deepEqual(out.inner, packet(...layers(3)));
    assert.equal(out.outer.ecn, 3);
    const lost = frame({}, outer4({ tos: 3 }), gre({ key: KEYS.peer4 }), ...layers(0));
    refuses(agent, lost, 'drop_ecn');
  });

  test('padding of a short frame is not sent on', () => {
    const short = frame({ padTo: 120 }, outer4(), gre({ key: KEYS.peer6 }), inner(4), segment());
    assert.equal(sentOn(agent, short).outer.bytes.length, 40 + 4 + 40);
  });

  test('what is sent on is capped on each CPU, and what stays here is not', async () => {
    // Three at once, and none more for the next ten seconds.
    const capped = load({ rate: { costNs: 10e9, burstNs: 30e9 } });
    const most = 3 * cpus().length;
    const stray = keyed(KEYS.peer4, inner(4), segment());
    const verdicts = Array.from({ length: most + 1 }, () => judge(capped, stray).verdict);
    assert.deepEqual(verdicts.slice(0, 3), ['sent_on', 'sent_on', 'sent_on']);
    // Not the last one for sure: the kernel may move this process to a CPU that has some left.
    assert.deepEqual([...new Set(verdicts)], ['sent_on', 'drop_peer_rate']);
    const socket = await sockets.connect(4);
    const own = [inner(4), segment(socket.localPort!)];
    delivers(capped, keyed(KEYS.peer4, ...own), packet(...own));
    socket.destroy();
  });

  test('whatever it carries, the alternate gets the packet that was wrapped', () => {
    const bytes = fc.uint8Array({ maxLength: 1400 });
    fc.assert(
      fc.property(
        fc.constantFrom(...FAMILIES),
        fc.constantFrom(KEYS.peer4, KEYS.peer6),
        fc.integer({ min: 1, max: 1023 }),
        fc.nat(255),
        bytes,
        (family, key, sport, tos, data) => {
          const layers = [inner(family, { tos }), segment(sport), payload(data)];
          const out = sentOn(agent, keyed(key, ...layers));
          assert.deepEqual(out.inner, packet(...layers));
          assert.equal(out.outer.dscp * 4 + out.outer.ecn, tos);
        },
      ),
      { numRuns: 500 },
    );
  });
});
