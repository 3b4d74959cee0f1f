/** The GRE key of a packet while the flow hash key changes: who may hold the flow by the former key comes first. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import { flowHash, slotOf } from '#anyhop/hash/flow.js';
import { deriveFlowKey } from '#anyhop/hash/key.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { keyIds } from '#anyhop/packet/second-chance-key.js';
import { frame, ipv4, tcp, udp } from '../packets/build.js';
import { type FixtureOptions, Runner, SECRET, VIP4 } from './fixture.js';

const FORMER = Uint8Array.from({ length: 16 }, (_, i) => 255 - i);
const SLOTS = 251;
const BACKENDS = 6;

const next = (slot: number, by: number): number => (slot + by) % BACKENDS;

function node(change: Partial<FixtureOptions> = {}): Runner {
  return new Runner({
    pools: { web: Array.from({ length: BACKENDS }, (_, i) => ({ address: `10.1.0.${i + 1}` })) },
    services: [
      { vip: VIP4, protocol: 'tcp', port: 80, secondChance: true },
      { vip: VIP4, protocol: 'tcp', port: 81 },
      { vip: VIP4, protocol: 'udp', port: 53 },
    ],
    slots: SLOTS,
    alternate: (slot) => next(slot, 1),
    second: (slot) => next(slot, 2),
    ...change,
  });
}

function slot(secret: Uint8Array, client: string, port: number): number {
  const key = deriveFlowKey(secret, '5-tuple', 'tcp', parseAddress(VIP4)!);
  const input = new Uint8Array(8);
  input.set(parseAddress(client)!.bytes);
  new DataView(input.buffer).setUint16(4, port);
  new DataView(input.buffer).setUint16(6, 80);
  return slotOf(flowHash(key, 0, new Int32Array(input.buffer), 2), SLOTS);
}

const packet = (client: string, port: number, to: number): Uint8Array =>
  frame(
    {},
    ipv4({ src: client, dst: VIP4 }),
    to === 53 ? udp({ sport: port, dport: to }) : tcp({ sport: port, dport: to }),
  );

const flow = fc.record({
  client: fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 254 })).map(([a, b]) => `198.51.${a}.${b}`),
  port: fc.integer({ min: 1, max: 65535 }),
});
/** Who may hold the connections of each slot; BACKENDS for nobody. */
const table = fc.array(fc.tuple(fc.nat(BACKENDS), fc.nat(BACKENDS)), { minLength: SLOTS, maxLength: SLOTS });

describe('a packet of a service whose flow hash key has changed', () => {
  it('goes to the owner by the present key, and names first who may hold it by the former one', () => {
    fc.assert(
      fc.property(flow, table, ({ client, port }, held) => {
        const none = (i: number): number => (i === BACKENDS ? L.NONE : i);
        const runner = node({
          former: { secret: FORMER, holders: (at) => [none(held[at][0]), none(held[at][1])] },
        });
        assert.equal(runner.run(packet(client, port, 80)).verdict, 'forwarded');
        const present = slot(SECRET, client, port);
        const owner = present % BACKENDS;
        assert.deepEqual([runner.pipeline.slot, runner.pipeline.backend], [present, owner]);
        const all = [...held[slot(FORMER, client, port)], next(present, 1), next(present, 2)];
        const others = all.filter((each) => each !== BACKENDS && each !== owner);
        assert.deepEqual(
          keyIds(runner.pipeline.key),
          [...new Set(others)].slice(0, 2).map((each) => each + 1), // ids of 10.1.0.1 and so on
        );
      }),
    );
  });

  it('names nobody where there is no second chance, and names the alternates of its slot where the key stays', () => {
    const [during, settled] = [node({ former: { secret: FORMER, holders: () => [3, 4] } }), node()];
    for (const [to, isKeyed] of [
      [80, true],
      [81, false],
      [53, false],
    ] as const) {
      for (const runner of [during, settled])
        assert.equal(runner.run(packet('198.51.100.7', 4711, to)).verdict, 'forwarded');
      const own = slot(SECRET, '198.51.100.7', 4711);
      assert.deepEqual(keyIds(settled.pipeline.key), isKeyed ? [next(own, 1) + 1, next(own, 2) + 1] : []);
      assert.equal(during.pipeline.key !== 0, isKeyed);
    }
  });

  it('names nobody to an owner without an agent, which reads no key', () => {
    const web = Array.from({ length: BACKENDS }, (_, i) => ({ address: `10.1.0.${i + 1}`, agent: false }));
    const runner = node({ pools: { web }, former: { secret: FORMER, holders: () => [0, 1] } });
    assert.equal(runner.run(packet('198.51.100.7', 4711, 80)).verdict, 'forwarded');
    assert.equal(runner.pipeline.key, 0);
  });
});
