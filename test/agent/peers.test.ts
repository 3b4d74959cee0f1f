/** Who may get a second chance's packets, and by which way: as it is written into the program's maps while packets go by it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { peerAddresses } from '#anyhop/agent/fleet.js';
import { PeerRows, peerKeys } from '#anyhop/agent/peers.js';
import { parseConfig } from '#anyhop/config/load.js';
import { L } from '#anyhop/core/layout.gen.js';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { parseAddress } from '#anyhop/packet/address.js';
import type { NextHop, NoNextHop } from '#anyhop/underlay/next-hop.js';
import { frame, gre, tcp } from '../packets/build.js';
import { decapsulate } from '../packets/decode.js';
import { CONFIG, HOP, inner4, judge, KEYS, loadAgent, outer4, SKIP } from './fixture.js';

const config = parseConfig(CONFIG, 'a.yaml', { role: 'agent', env: {} });
const PEERS = peerAddresses(config);
const LOCALS = PEERS.filter(({ text }) => text.endsWith('11'));
const others = PEERS.filter(({ text }) => text.endsWith('12'));

const hopTo = (mac: string): NextHop => ({
  ...HOP,
  destinationMac: Uint8Array.from(Buffer.from(mac.replaceAll(':', ''), 'hex')),
});

describe('the peers of a backend', () => {
  test('are the backends of pools with second chance, by the prior state too', () => {
    const texts = (c: typeof config): string[] => peerAddresses(c).map(({ text }) => text);
    assert.deepEqual(texts(config), ['10.1.0.11', '10.1.0.12', 'fd00:1::11', 'fd00:1::12']);
    const pools = config.pools.map((pool) => ({
      ...pool,
      backends: pool.backends.slice(0, 1),
      prior: pool.backends.map((backend) => ({ ...backend, health: 'up' as const })),
    }));
    assert.deepEqual(texts({ ...config, pools }), texts(config));
    const off = config.services.map((service) => ({ ...service, secondChance: false }));
    assert.deepEqual(peerAddresses({ ...config, services: off }), []);
  });

  test('have no path where this host has no address of their family', () => {
    const [local4, peer6] = [parseAddress('10.1.0.11')!, parseAddress('fd00:1::12')!];
    const written = (local: typeof local4, hop: NextHop | undefined): unknown =>
      new PeerRows([peer6], [local]).change(peer6, hop);
    assert.deepEqual(written(local4, HOP), written(local4, undefined));
    assert.notDeepEqual(written(parseAddress('fd00:1::11')!, HOP), written(local4, HOP));
  });

  test('have a row each, which their keys name', () => {
    const rows = peerKeys(PEERS).map(([key, row]) => [key.toString('hex'), row.readUInt32LE()]);
    assert.deepEqual(rows, [
      ['0a01000b', 0],
      ['0a01000c', 1],
      ['00000011', 2],
      ['00000012', 3],
    ]);
    const written = new PeerRows(PEERS, LOCALS);
    for (const [row, peer] of PEERS.entries())
      for (const [key] of written.change(peer, HOP)) assert.equal(key.readUInt32LE(), row);
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
            const [alone] = new PeerRows([peer], LOCALS).change(peer, each);
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
