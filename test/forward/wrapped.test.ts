/** What leaves for a backend, compared as whole frames with ones composed from the config's words. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import {
  concat,
  destinationOptions,
  frame,
  gre,
  hopByHop,
  ipOption,
  ipv4,
  ipv6,
  type Layer,
  packet,
  payload,
  tcp,
} from '../packets/build.js';
import { decapsulate } from '../packets/decode.js';
import { type FixtureBackend, type FixtureOptions, Runner, VIP4, VIP6 } from './fixture.js';

const CLIENT4 = '198.51.100.7';
const CLIENT6 = '2001:db8:c::7';
const SOURCE4 = '10.0.0.1';
const SOURCE6 = 'fd00::1';
/** As the fixture has it: the interface's own, and one a backend. */
const MAC = '02:00:00:00:00:01';
const macOf = (index: number): string => `02:00:00:00:01:0${index}`;

/** Two pools, so that the second one's backends are not the first ones of the image. */
const FIRST: FixtureBackend[] = [{ address: '10.1.0.11' }, { address: '10.1.0.12' }];
const SECOND: FixtureBackend[] = [
  { address: '10.2.0.11', vlan: 7 },
  { address: 'fd00:2::a0b:c0d' },
  { address: 'fd00:2::12', vlan: 4094 },
  { address: '10.2.0.14' },
];
const IDS = [0x000b, 0x0c0d, 0x0012, 0x000e];
const alternateOf = (slot: number): number => (slot % 5 === 0 ? L.NONE : (slot + 1) % SECOND.length);
const secondOf = (slot: number): number =>
  slot % 5 === 0 || slot % 3 === 0 ? L.NONE : (slot + 2) % SECOND.length;

const OPTIONS: FixtureOptions = {
  pools: { first: FIRST, second: SECOND },
  services: [
    { vip: VIP4, protocol: 'tcp', port: 80, pool: 'second', secondChance: true },
    { vip: VIP6, protocol: 'tcp', port: 80, pool: 'second', secondChance: true },
  ],
  owner: (slot, backends) => slot % backends,
  alternate: alternateOf,
  second: secondOf,
};

/** The frame that carries `inner` to the owner of `slot`; the flow label is not known here. */
function wrapped(slot: number, tos: number, flowLabel: number, ...inner: Layer[]): Uint8Array {
  const owner = slot % SECOND.length;
  const { address, vlan } = SECOND[owner];
  const [first, second] = [alternateOf(slot), secondOf(slot)];
  const outer = address.includes(':')
    ? ipv6({ src: SOURCE6, dst: address, trafficClass: tos, flowLabel })
    : ipv4({ src: SOURCE4, dst: address, tos, df: true });
  const vlans = vlan === undefined ? [] : [vlan];
  const word = (IDS[first] << 15) | (second === L.NONE ? 0 : IDS[second]);
  const key = first === L.NONE ? {} : { key: word, alternates: true };
  return frame({ dst: macOf(owner), src: MAC, vlans }, outer, gre(key), ...inner);
}

describe('a packet that is forwarded leaves', () => {
  const runner = new Runner(OPTIONS);
  const seen = new Set<string>();

  function assertWrapped(asked: Uint8Array, tos: number, vlansIn: number, ...inner: Layer[]): void {
    const { verdict, out } = runner.run(asked);
    assert.equal(verdict, 'forwarded');
    const { slot, outL2 } = runner.pipeline;
    const { outer, ethernet } = decapsulate(out!);
    assert.deepEqual(out, wrapped(slot, tos, outer.flowLabel, ...inner));
    assert.equal(outL2, 14 + 4 * ethernet.vlans.length);
    seen.add(`${outer.dst} ${outer.key} ${vlansIn}`);
  }

  it('in the headers of its owner, keyed by its alternate, with a TTL less by one, whatever tags and options it has', () => {
    const options = [undefined, ipOption.nop(4), concat(ipOption.recordRoute(9), ipOption.nop(1))];
    for (let n = 0; n < 400; n++) {
      const option = options[n % 3];
      const [tos, ttl, tags] = [(n * 37) & 0xff, 2 + (n % 254), [[], [10], [10, 11]][n % 3]];
      const header = {
        src: CLIENT4,
        dst: VIP4,
        tos,
        id: n,
        df: n % 2 === 0,
        ...(option && { options: option }),
      };
      const rest = [tcp({ sport: 1000 + n, dport: 80 }), payload(n % 50)];
      const asked = frame({ vlans: tags, padTo: 90 }, ipv4({ ...header, ttl }), ...rest);
      assertWrapped(asked, tos, tags.length, ipv4({ ...header, ttl: ttl - 1 }), ...rest);
    }
  });

  it('the same way when it is an IPv6 packet, extension headers and flow label untouched', () => {
    const before: Layer[][] = [[], [hopByHop()], [hopByHop({ length: 24 }), destinationOptions()]];
    for (let n = 0; n < 400; n++) {
      const [trafficClass, hopLimit, tags] = [(n * 37) & 0xff, 2 + (n % 254), [[], [10], [10, 11]][n % 3]];
      const header = { src: CLIENT6, dst: VIP6, trafficClass, flowLabel: 0xfffff - n };
      const rest = [...before[n % 3], tcp({ sport: 1000 + n, dport: 80 }), payload(n % 50)];
      const asked = frame({ vlans: tags, padTo: 160 }, ipv6({ ...header, hopLimit }), ...rest);
      assertWrapped(asked, trafficClass, tags.length, ipv6({ ...header, hopLimit: hopLimit - 1 }), ...rest);
    }
    // Every owner, with no alternate, one and two, behind 0, 1 and 2 tags.
    assert.equal(seen.size, SECOND.length * 3 * 3);
  });

  it('with the right IPv4 header checksum, for every one that it can come with', () => {
    const plain = new Runner();
    const sums = new Set<number>();
    const asked = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport: 80 }));
    for (let id = 0; id < 65536; id++) {
      const header = (ttl: number) =>
        packet(ipv4({ src: CLIENT4, dst: VIP4, id, ttl, totalLength: 40, protocol: 6 }));
      asked.set(header(64), 14);
      const inner = plain.run(asked).out!.subarray(14 + 20 + 4);
      assert.equal(Buffer.compare(inner.subarray(0, 20), header(63)), 0, `identification ${id}`);
      sums.add(asked[24] * 256 + asked[25]);
    }
    assert.equal(sums.size, 65535); // all but 0xffff, which no sum of a header gives
  });

  it('never with a TTL of 0: at 1 and at 0 it is dropped', () => {
    for (const ttl of [0, 1]) {
      const four = frame({}, ipv4({ src: CLIENT4, dst: VIP4, ttl }), tcp({ sport: 1, dport: 80 }));
      const six = frame({}, ipv6({ src: CLIENT6, dst: VIP6, hopLimit: ttl }), tcp({ sport: 1, dport: 80 }));
      assert.equal(runner.run(four).verdict, 'drop_ttl_expired');
      assert.equal(runner.run(six).verdict, 'drop_ttl_expired');
    }
  });
});

describe('the entropy of the outer header', () => {
  const outerOf = (runner: Runner, sport: number) => {
    const asked = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport, dport: 80 }));
    return decapsulate(runner.run(asked).out!).outer; // every length and checksum verified
  };

  it('is a flow label in which each of the 20 bits is on for some flows, off for others, the same for one flow', () => {
    const runner = new Runner({ pools: { web: [{ address: 'fd00:1::11' }] } });
    let [ones, zeros] = [0, 0];
    const labels = new Set<number>();
    for (let sport = 1; sport <= 400; sport++) {
      const { flowLabel } = outerOf(runner, sport);
      assert.equal(outerOf(runner, sport).flowLabel, flowLabel);
      ones |= flowLabel;
      zeros |= ~flowLabel;
      labels.add(flowLabel);
    }
    assert.deepEqual([ones, zeros & 0xfffff], [0xfffff, 0xfffff]);
    assert.ok(labels.size > 395, `${labels.size} labels for 400 flows`);
  });

  it('is a source within the prefix, of any length, in which each host bit is on for some flows, off for others', () => {
    for (let length = 8; length <= 32; length++) {
      const hosts = 2 ** (32 - length) - 1;
      const network = 0x0a000000 & ~hosts;
      const runner = new Runner({ source4: `10.0.0.0/${length}` });
      let [ones, zeros] = [0, 0];
      for (let sport = 1; sport <= 200; sport++) {
        const source = outerOf(runner, sport)
          .src.split('.')
          .reduce((word, byte) => word * 256 + +byte, 0);
        assert.equal(source & ~hosts, network);
        ones |= source & hosts;
        zeros |= ~source & hosts;
      }
      assert.deepEqual([ones, zeros], [hosts, hosts], `a /${length}`);
    }
  });

  it('does not come from the bits of the hash that the slot comes from: one slot’s flows have all labels', () => {
    const runner = new Runner({ pools: { web: [{ address: 'fd00:1::11' }] }, slots: 251 });
    const asked = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport: 80 }));
    let [ones, zeros, flows] = [0, 0, 0];
    for (let sport = 1; sport <= 15_000; sport++) {
      asked[34] = sport >> 8;
      asked[35] = sport & 0xff;
      const { out } = runner.run(asked);
      if (runner.pipeline.slot !== 77) continue;
      flows++;
      const label = ((out![15] & 15) << 16) | (out![16] << 8) | out![17];
      ones |= label;
      zeros |= ~label;
    }
    assert.ok(flows > 30, `${flows} flows`);
    assert.deepEqual([ones, zeros & 0xfffff], [0xfffff, 0xfffff]);
  });
});
