/** Who may get a second chance's packets, and by which way: as it is written into the program's maps while packets go by it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { fleetOf } from '#anyhop/agent/fleet.js';
import { PeerRows } from '#anyhop/agent/peers.js';
import { parseConfig } from '#anyhop/config/load.js';
import { L } from '#anyhop/core/layout.gen.js';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { parseAddress } from '#anyhop/packet/address.js';
import type { NextHop, NoNextHop } from '#anyhop/underlay/next-hop.js';
import { frame, gre, tcp } from '../packets/build.js';
import { decapsulate } from '../packets/decode.js';
import { CONFIG, HOP, inner4, judge, KEYS, loadAgent, outer4, SKIP } from './fixture.js';

const config = parseConfig(CONFIG, 'a.yaml', { role: 'agent', env: {} });
const { backends, peers: PEERS } = fleetOf(config);
const LOCALS = backends.filter(({ text }) => text.endsWith('11'));
const others = backends.filter(({ text }) => text.endsWith('12'));

const hopTo = (mac: string): NextHop => ({
  ...HOP,
  destinationMac: Uint8Array.from(Buffer.from(mac.replaceAll(':', ''), 'hex')),
});

describe('the peers of a backend', () => {
  test('have no path where this host has no address of their family', () => {
    const [local4, peer6] = [parseAddress('10.1.0.11')!, PEERS[3]];
    const written = (local: typeof local4, hop: NextHop | undefined): unknown =>
      new PeerRows([peer6], [local]).change(peer6.address, hop);
    assert.deepEqual(written(local4, HOP), written(local4, undefined));
    assert.notDeepEqual(written(parseAddress('fd00:1::11')!, HOP), written(local4, HOP));
  });

  test('have a row each unless they are this host, which their ids and the keys of the former format name', () => {
    const rows = new PeerRows(PEERS, LOCALS);
    assert.deepEqual(rows.addresses, others);
    for (const [row, peer] of others.entries())
      for (const [key] of rows.change(peer, HOP)) assert.equal(key.readUInt32LE(), row);
    const keys = new Map(rows.keys().map(([key, place]) => [key.toString('hex'), place.readUInt32LE()]));
    const [here, first] = [L.AGENT_PLACE_HERE, L.AGENT_PLACE_ROWS];
    assert.deepEqual(
      ['0a01000b', '0a01000c', '00000011', '00000012'].map((key) => keys.get(key)),
      [here, first, here, first + 1],
    );
    const [[, ids]] = rows.ids();
    const places = Array.from({ length: L.AGENT_IDS }, (_, id) => ids.readUInt32LE(4 * id));
    const named = places.flatMap((place, id) => (place === 0 ? [] : [[id, place]]));
    assert.deepEqual(named, [
      [11, here],
      [12, first],
      [17, here],
      [18, first + 1],
    ]);
  });

  test('may be known by several ids, or by none', () => {
    const [own, peer] = PEERS;
    const rows = new PeerRows([own, peer, { ...peer, id: 900 }, { ...PEERS[3], id: 0 }], LOCALS);
    assert.equal(rows.addresses.length, 2);
    const [[, ids]] = rows.ids();
    assert.deepEqual(
      [0, 12, 900, 18].map((id) => ids.readUInt32LE(4 * id)),
      [0, L.AGENT_PLACE_ROWS, L.AGENT_PLACE_ROWS, 0],
    );
  });

  test('with one key of the former format are told apart by ids, and the key means the first of them', () => {
    const moved = { ...PEERS[3], id: 19, address: parseAddress('fd00:2::12')! };
    const rows = new PeerRows([...PEERS, moved], LOCALS);
    const place = L.AGENT_PLACE_ROWS + 1;
    assert.equal(rows.keys().length, PEERS.length);
    assert.equal(
      rows
        .keys()
        .find(([key]) => key[3] === 0x12)![1]
        .readUInt32LE(),
      place,
    );
    const [[, ids]] = rows.ids();
    assert.deepEqual([ids.readUInt32LE(4 * 18), ids.readUInt32LE(4 * 19)], [place, place + 1]);
  });

  test('keep a whole path in force at every byte of a change: the one before or the one after', () => {
    const hop = fc.oneof(
      fc.constant<NoNextHop>({ reason: 'it does not answer' }),
      fc
        .record({
          mac: fc.uint8Array({ minLength: 6, maxLength: 6 }),
          mtu: fc.integer({ min: 1280, max: 9000 }),
          vlan: fc.option(fc.integer({ min: 1, max: 4094 }), { nil: undefined }),
        })
        .map(({ mac, ...rest }) => ({ ...HOP, ...rest, destinationMac: mac })),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...others),
        fc.array(hop, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (peer, hops, isBackwards) => {
          const rows = new PeerRows(PEERS, LOCALS);
          const element = Buffer.alloc(L.SIZEOF_AGENT_PEER);
          const inForce = (): string => {
            const start =
              L.AGENT_PEER_PATHS + element.readUInt32LE(L.AGENT_PEER_IN_FORCE) * L.SIZEOF_AGENT_PATH;
            return element.toString('hex', start, start + L.SIZEOF_AGENT_PATH);
          };
          for (const each of hops) {
            const seen = [inForce()];
            for (const [, value] of rows.change(peer, each)) {
              for (let i = 0; i < element.length; i++) {
                const at = isBackwards ? element.length - 1 - i : i; // nobody says in which order the kernel copies
                element[at] = value[at];
                if (seen.at(-1) !== inForce()) seen.push(inForce());
              }
            }
            const own = PEERS.filter(({ address }) => address === peer);
            const [alone] = new PeerRows(own, LOCALS).change(peer, each);
            const start = L.AGENT_PEER_PATHS + L.SIZEOF_AGENT_PATH;
            assert.equal(seen.at(-1), alone[1].toString('hex', start, start + L.SIZEOF_AGENT_PATH));
            assert.ok(seen.length <= 2, `${seen.length - 1} changes instead of one`);
          }
        },
      ),
    );
  });
});

describe('the paths of the program', { skip: SKIP }, () => {
  let agent: BpfObject;
  before(() => {
    agent = loadAgent();
  });
  after(() => agent?.close());

  test('change again and again, each for its own peer alone', () => {
    const rows = new PeerRows(PEERS, LOCALS);
    const [peer4, peer6] = others;
    const unchanged = '02:00:00:00:00:aa'; // HOP's
    const paths = new Map<number, string>([
      [KEYS.peer4, unchanged],
      [KEYS.peer6, unchanged],
    ]);
    const change = (peer: typeof peer4, key: number, mac: string): void => {
      agent.fill('peers', rows.change(peer, hopTo(mac)));
      paths.set(key, mac);
      for (const [each, expected] of paths) {
        const bytes = frame({}, outer4(), gre({ key: each }), inner4(), tcp({ sport: 700, dport: 80 }));
        const judged = judge(agent, bytes);
        assert.equal(judged.verdict, 'sent_on');
        const { ethernet, outer } = decapsulate(new Uint8Array(judged.frame));
        assert.deepEqual([ethernet.dst, outer.version], [expected, each === KEYS.peer4 ? 4 : 6]);
      }
    };
    for (const last of [1, 2, 3, 4]) {
      change(peer4, KEYS.peer4, `02:00:00:00:04:0${last}`);
      change(peer6, KEYS.peer6, `02:00:00:00:06:0${last}`);
    }
    agent.fill('peers', rows.change(peer4, { reason: 'it does not answer' }));
    const cut = frame({}, outer4(), gre({ key: KEYS.peer4 }), inner4(), tcp({ sport: 700, dport: 80 }));
    assert.equal(judge(agent, cut).verdict, 'drop_peer_no_next_hop');
  });
});
