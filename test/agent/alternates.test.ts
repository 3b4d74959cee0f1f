/**
 * Second chance by keys that carry ids: index (2 bits) | id 1 (15) | id 2 (15). What has no socket here goes to the next id, in
 * place where it can, and whatever another agent has sent on must be meant for this host.
 */
import assert from 'node:assert/strict';
import { cpus } from 'node:os';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { keyWord } from '#anyhop/packet/second-chance-key.js';
import {
  frame,
  gre,
  icmpError,
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
  loadAgent,
  outer4,
  outer6,
  refuses,
  SKIP,
} from './fixture.js';
import { client, FAMILIES, type Family, LOOPBACK, Sockets } from './sockets.js';

/** This host, twice; others; those without an agent; nobody. */
const ID = { own: 11, own6: 17, b: 12, c: 13, b6: 18, bare: 14, bare6: 20, nobody: 99 } as const;
const ADDRESS = {
  [ID.b]: '10.1.0.12',
  [ID.c]: '10.1.0.13',
  [ID.b6]: 'fd00:1::12',
  [ID.bare]: '10.1.0.14',
  [ID.bare6]: 'fd00:1::14',
} as const;
const TEXT = `
pools:
  web:
    backends:
      - {name: web-1, address: 10.1.0.11}
      - {name: web-2, address: 10.1.0.12}
      - {name: web-3, address: 10.1.0.13}
      - {name: web-4, address: 10.1.0.14, agent: false}
      - {name: web6-1, address: "fd00:1::11"}
      - {name: web6-2, address: "fd00:1::12"}
      - {name: web6-4, address: "fd00:1::14", agent: false}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web, second_chance: on}
  - {name: dns, vip: 203.0.113.10, protocol: udp, port: 53, pool: web}
  - {name: web6, vip: "2001:db8::10", protocol: tcp, port: 80, pool: web, second_chance: on}
agent:
  forwarders: [10.0.0.0/28, "fd00::/64"]
`;
/** No connection comes from it: system ports are not given out. */
const SPORT_UNKNOWN = 700;

const inner = (family: Family, tos = 0): Layer =>
  family === 4
    ? ipv4({ src: client(4), dst: LOOPBACK[4], ttl: 61, tos })
    : ipv6({ src: client(6), dst: LOOPBACK[6], hopLimit: 61, trafficClass: tos });
const outer = (family: Family, tos = 0): Layer =>
  family === 4 ? outer4({ tos }) : outer6({ trafficClass: tos, flowLabel: 0x54321 });
const ids = (index: number, id1 = 0, id2 = 0): Layer =>
  gre({ key: keyWord(index, id1, id2), alternates: true });

describe('second chance by ids', { skip: SKIP }, () => {
  const sockets = new Sockets();
  const agents: BpfObject[] = [];
  let agent: BpfObject;

  const load = (o: AgentOptions = {}): BpfObject => {
    const vips = { '203.0.113.10': LOOPBACK[4], '2001:db8::10': LOOPBACK[6] };
    const made = loadAgent({ text: TEXT, vips, port: sockets.port, ...o });
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
  const stray = (key: Layer, ...more: Layer[]): Uint8Array =>
    frame({}, outer(4), key, inner(4), segment(), ...more);

  function sentOn(bytes: Uint8Array, on = agent): ReturnType<typeof decapsulate> {
    const judged = judge(on, bytes);
    assert.deepEqual([judged.verdict, judged.action], ['sent_on', 'tx']);
    return decapsulate(new Uint8Array(judged.frame));
  }

  /** It goes to this backend with this key. */
  function goesTo(bytes: Uint8Array, id: keyof typeof ADDRESS, key: number | undefined, on = agent): void {
    const { outer } = sentOn(bytes, on);
    assert.deepEqual([outer.dst, outer.key, outer.alternates], [ADDRESS[id], key, key !== undefined]);
  }

  for (const around of FAMILIES) {
    for (const family of FAMILIES) {
      const [same, other] = around === 4 ? [ID.b, ID.b6] : [ID.b6, ID.b];

      test(`IPv${family} in IPv${around} goes to the first id in place: other addresses, a higher index, and nothing else`, () => {
        const layers = [inner(family, 0xb9), segment(), payload(100)];
        for (const vlans of [[], [7]]) {
          const tagged = vlans.length > 0;
          const on = tagged ? load({ hop: { ...HOP, vlan: 42 } }) : agent;
          const bytes = frame({ vlans }, outer(around, 0x2a), ids(0, same, ID.c), ...layers);
          const out = sentOn(bytes, on);
          assert.deepEqual(out.inner, packet(...layers));
          const { bytes: _, ...header } = out.outer;
          assert.deepEqual(header, {
            version: around,
            src: around === 4 ? '10.1.0.11' : 'fd00:1::11',
            dst: ADDRESS[same],
            dscp: 0x2a >> 2,
            ecn: 0x2a & 3,
            ttl: 64,
            df: true,
            id: 0,
            flowLabel: around === 4 ? 0 : 0x54321,
            key: keyWord(1, same, ID.c),
            alternates: true,
          });
          const vlan = tagged ? [{ id: 42, priority: 0, tpid: 0x8100 }] : [];
          assert.deepEqual(out.ethernet, {
            dst: '02:00:00:00:00:aa',
            src: '02:00:00:00:00:01',
            vlans: vlan,
          });
        }
      });

      test(`IPv${family} in IPv${around} is wrapped again for the other family, with DSCP and ECN of the inner packet`, () => {
        const layers = [inner(family, 0xb9), segment(), payload(100)];
        const out = sentOn(frame({}, outer(around, 0x28), ids(0, other), ...layers));
        assert.deepEqual(out.inner, packet(...layers));
        const { bytes: _, flowLabel, ...header } = out.outer;
        assert.deepEqual(header, {
          version: around === 4 ? 6 : 4,
          src: around === 4 ? 'fd00:1::11' : '10.1.0.11',
          dst: ADDRESS[other],
          dscp: 0xb9 >> 2,
          ecn: 1,
          ttl: 64,
          df: true,
          id: 0,
          key: keyWord(1, other, 0),
          alternates: true,
        });
        assert.equal(flowLabel !== 0, around === 4);
      });

      test(`IPv${family} in IPv${around} goes to a backend without an agent bare of its key`, () => {
        const layers = [inner(family, 0xb9), segment(), payload(100)];
        for (const id of [ID.bare, ID.bare6]) {
          const bytes = frame({}, outer(around), ids(1, ID.own, id), ...layers);
          assert.deepEqual(sentOn(bytes).inner, packet(...layers));
          goesTo(bytes, id, undefined);
        }
      });
    }
  }

  test('in place or wrapped again, the alternate gets the same bytes but for the flow label', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...FAMILIES),
        fc.constantFrom(...FAMILIES),
        fc.integer({ min: 1, max: 1023 }),
        fc.constantFrom(0, 1, 2, 0x28, 0xb9, 0xfe),
        fc.boolean(),
        fc.uint8Array({ maxLength: 1400 }),
        (around, family, sport, tos, isRelayed, data) => {
          const next = around === 4 ? ID.c : ID.b6;
          const key = isRelayed ? ids(1, ID.own, next) : ids(0, next, ID.nobody);
          const layers = [outer(around, tos), key, inner(family, tos), segment(sport), payload(data)];
          const [inPlace, again] = [[], [7], [7, 8]].map((vlans) => {
            const bytes = new Uint8Array(judge(agent, frame({ vlans }, ...layers)).frame);
            if (around === 6) bytes.fill(0, 14 + 2, 14 + 4).set([bytes[14 + 1] & 0xf0], 14 + 1);
            return bytes;
          });
          assert.deepEqual(inPlace, again);
          assert.equal(decapsulate(again).outer.dst, ADDRESS[next]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a packet that another agent sent on goes to the second id, and stays where no id is left', () => {
    goesTo(stray(ids(1, ID.own, ID.c)), ID.c, keyWord(2, ID.own, ID.c));
    goesTo(stray(ids(1, ID.own6, ID.b)), ID.b, keyWord(2, ID.own6, ID.b));
    const own = packet(inner(4), segment());
    for (const last of [ids(0), ids(1, ID.own), ids(2, ID.b, ID.own), ids(2, 0, ID.own), ids(0, 0, ID.b)])
      delivers(agent, stray(last), own);
    delivers(agent, stray(gre({ alternates: true })), own); // no key at all
  });

  test('an id that is this host by another address is passed over', () => {
    goesTo(stray(ids(0, ID.own6, ID.b)), ID.b, keyWord(2, ID.own6, ID.b));
    const own = packet(inner(4), segment());
    for (const here of [ids(0, ID.own, ID.own6), ids(0, ID.own6), ids(1, ID.own, ID.own6)])
      delivers(agent, stray(here), own);
  });

  test('what has a socket here stays, whatever the key', async () => {
    for (const family of FAMILIES) {
      const socket = await sockets.connect(family);
      const own = [inner(family), segment(socket.localPort!), payload(9)];
      for (const key of [ids(0, ID.b, ID.c), ids(1, ID.own, ID.c), ids(0, ID.nobody), ids(2, ID.b, ID.own)])
        delivers(agent, frame({}, outer(family), key, ...own), packet(...own));
      socket.destroy();
    }
  });

  test('a SYN, UDP and fragments stay, and an ICMP error follows the connection that it quotes', () => {
    const key = ids(0, ID.b, ID.c);
    const syn = [inner(4), segment(SPORT_UNKNOWN, ['syn'])];
    delivers(agent, frame({}, outer(4), key, ...syn), packet(...syn));
    const datagram = [inner(4), udp({ sport: 9, dport: 53 }), payload(10)];
    delivers(agent, frame({}, outer(4), key, ...datagram), packet(...datagram));
    const [first] = ipv4Fragments({ src: client(4), dst: LOOPBACK[4] }, [segment(), payload(100)], 40);
    const part = gre({ key: keyWord(0, ID.b, 0), alternates: true, etherType: 0x0800 });
    delivers(agent, frame({}, outer(4), part, payload(first)), first);
    const about = packet(
      ipv4({ src: LOOPBACK[4], dst: client(4) }),
      tcp({ sport: sockets.port, dport: 700 }),
    );
    const error = [ipv4({ src: '192.0.2.1', dst: LOOPBACK[4] }), icmpError({ type: 3, mtu: 1400, about })];
    const out = sentOn(frame({}, outer(4), ids(1, ID.own, ID.c), ...error));
    assert.deepEqual(out.inner, packet(...error));
  });

  /** Packets of every kind that could be delivered. */
  const kinds = async (): Promise<Layer[][]> => {
    const socket = await sockets.connect(4);
    const port = socket.localPort!;
    return [
      [inner(4), segment()],
      [inner(6), segment()],
      [inner(4), segment(SPORT_UNKNOWN, ['syn'])],
      [inner(4), segment(port)],
      [inner(4), udp({ sport: 9, dport: 53 })],
    ];
  };

  test('a packet that another agent sent on for another id is dropped, and not delivered', async () => {
    for (const layers of await kinds()) {
      for (const around of FAMILIES) {
        for (const key of [
          ids(1, ID.b, ID.own),
          ids(1, ID.nobody, ID.c),
          ids(2, ID.own, ID.b),
          ids(2, ID.own, ID.nobody),
          ids(1, ID.bare),
        ])
          refuses(agent, frame({}, outer(around), key, ...layers), 'drop_id_stale');
      }
    }
  });

  test('a malformed key is dropped: an index of 3, or none at its index', async () => {
    for (const layers of await kinds()) {
      for (const key of [ids(3, ID.own, ID.own), ids(3), ids(1), ids(1, 0, ID.own), ids(2, ID.own), ids(2)])
        refuses(agent, frame({}, outer(4), key, ...layers), 'drop_key');
    }
  });

  test('an id that names nobody gets nothing, and neither does the one after it', () => {
    refuses(agent, stray(ids(0, ID.nobody, ID.b)), 'drop_peer_unknown');
    refuses(agent, stray(ids(0, 1)), 'drop_peer_unknown');
    refuses(agent, stray(ids(0, 32767)), 'drop_peer_unknown');
    refuses(agent, stray(ids(1, ID.own, ID.nobody)), 'drop_peer_unknown');
    refuses(agent, stray(ids(0, ID.own6, ID.nobody)), 'drop_peer_unknown');
    const cut = load({ hop: { reason: 'it does not answer' } });
    for (const id of [ID.b, ID.b6, ID.bare]) refuses(cut, stray(ids(0, id, ID.c)), 'drop_peer_no_next_hop');
  });

  test('each of the 15 bits of an id counts', () => {
    const all = Array.from({ length: 15 }, (_, bit) => 1 << bit);
    const added = all.map((id, bit) => `      - {name: x-${bit}, address: 10.9.0.${bit + 1}, id: ${id}}\n`);
    const wide = load({ text: TEXT.replace('    backends:\n', (start) => start + added.join('')) });
    for (const [bit, id] of all.entries()) {
      for (const key of [ids(0, id), ids(1, ID.own, id)])
        assert.equal(sentOn(stray(key), wide).outer.dst, `10.9.0.${bit + 1}`);
    }
  });

  test('the MTU of the path counts to the byte, with the key where it is sent', () => {
    const narrow = load({ hop: { ...HOP, mtu: 1500 } });
    for (const [id, around] of [
      [ID.b, 28],
      [ID.b6, 48],
      [ID.bare, 24],
      [ID.bare6, 44],
    ] as const) {
      const fits = 1500 - around - 40;
      assert.equal(sentOn(stray(ids(0, id), payload(fits)), narrow).outer.bytes.length, 1500);
      refuses(narrow, stray(ids(0, id), payload(fits + 1)), 'drop_peer_too_big');
    }
  });

  test('padding of a frame is not sent on', () => {
    for (const id of [ID.b, ID.b6, ID.bare]) {
      const padded = frame({ padTo: 140 }, outer(4), ids(0, id), inner(4), segment());
      assert.equal(
        sentOn(padded).outer.bytes.length,
        (id === ID.b6 ? 40 : 20) + (id === ID.bare ? 4 : 8) + 40,
      );
    }
  });

  test('congestion that was marked on the first way is told on', () => {
    const marked = (tos: number, id: number): Uint8Array =>
      frame({}, outer(4, 3), ids(0, id), inner(4, tos), segment(), payload(5));
    const inPlace = sentOn(marked(2, ID.b));
    assert.deepEqual(inPlace.inner, packet(inner(4, 2), segment(), payload(5)));
    assert.equal(inPlace.outer.ecn, 3); // brought into the inner packet by the last host
    const again = sentOn(marked(2, ID.b6));
    assert.deepEqual(again.inner, packet(inner(4, 3), segment(), payload(5)));
    assert.equal(again.outer.ecn, 3);
    refuses(agent, marked(0, ID.b), 'drop_ecn');
  });

  test('what another agent sent has a budget of its own on each CPU', () => {
    // Three at once, and none more for the next ten seconds.
    const capped = load({ rate: { costNs: 10e9, burstNs: 30e9 } });
    const most = 3 * cpus().length;
    const [first, relayed] = [stray(ids(0, ID.b)), stray(ids(1, ID.own, ID.b))];
    const spend = (bytes: Uint8Array): string[] =>
      Array.from({ length: most + 1 }, () => judge(capped, bytes).verdict);
    for (const each of [first, relayed]) {
      const verdicts = spend(each);
      assert.deepEqual(verdicts.slice(0, 3), ['sent_on', 'sent_on', 'sent_on']);
      assert.deepEqual([...new Set(verdicts)], ['sent_on', 'drop_peer_rate']);
    }
  });
});
