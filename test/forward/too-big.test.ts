/** Answers to packets that do not fit: fragmentation needed and packet too big, as whole frames, and when there is none. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  destinationOptions,
  frame,
  frameOf,
  hopByHop,
  icmpError,
  icmpv6Error,
  ipOption,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  type Layer,
  NODE_MAC,
  packet,
  payload,
  ROUTER_MAC,
  tcp,
  udp,
  type VlanTag,
} from '../packets/build.js';
import { type FixtureOptions, Runner, VIP4, VIP6 } from './fixture.js';

const CLIENT4 = '198.51.100.7';
const CLIENT6 = '2001:db8:c::7';
const BACK = { dst: ROUTER_MAC, src: NODE_MAC };
const TAGS: readonly VlanTag[][] = [
  [],
  [{ id: 10, priority: 5 }],
  [
    { id: 4094, priority: 7, tpid: 0x88a8 },
    { id: 1, priority: 2 },
  ],
];
/** Wide enough that IPv6 is told what fits. */
const PATH_MTU = 1400;

/** The outer headers' names and bytes: IPv4 or IPv6, GRE, and the key of a second chance. */
const WAYS: Record<string, { address: string; secondChance: boolean; overhead: number }> = {
  'IPv4 without a key': { address: '10.1.0.11', secondChance: false, overhead: 20 + 4 },
  'IPv4 with a key': { address: '10.1.0.11', secondChance: true, overhead: 20 + 8 },
  'IPv6 without a key': { address: 'fd00:1::11', secondChance: false, overhead: 40 + 4 },
  'IPv6 with a key': { address: 'fd00:1::11', secondChance: true, overhead: 40 + 8 },
};

function narrow(address: string, secondChance: boolean, mtu = 700): FixtureOptions {
  return {
    // The other one is never an owner.
    pools: { web: [{ address, mtu }, { address: '10.1.0.12' }] },
    services: [
      { vip: VIP4, protocol: 'tcp', port: 80, secondChance },
      { vip: VIP6, protocol: 'tcp', port: 80, secondChance },
      { vip: VIP4, protocol: 'udp', port: 53 },
      { vip: VIP6, protocol: 'udp', port: 53 },
    ],
    owner: () => 0,
    alternate: () => 1,
  };
}

/** Asks once, at a new tick; the frame as it came must not matter afterwards. */
function answerTo(runner: Runner, asked: Uint8Array) {
  runner.pipeline.tick++;
  return runner.run(asked);
}

for (const [name, { address, secondChance, overhead }] of Object.entries(WAYS)) {
  const mtu = PATH_MTU - overhead;
  describe(`what is too big for a way over ${name}`, () => {
    it('is answered over IPv4 with header, options and eight bytes of it as they came, and the size that fits', () => {
      const runner = new Runner(narrow(address, secondChance, PATH_MTU));
      let n = 0;
      for (const vlans of TAGS) {
        for (const options of [undefined, ipOption.recordRoute(2), ipOption.timestamp(9)]) {
          for (const size of [mtu + 1, mtu + 2, 1499]) {
            const given = { tos: (n * 37) & 0xff, id: 0x4000 + n, ttl: 2 + n, ...(options && { options }) };
            n++;
            const data = size - 40 - (options === undefined ? 0 : Math.ceil(options.length / 4) * 4);
            const about = packet(
              ipv4({ src: CLIENT4, dst: VIP4, df: true, ...given }),
              tcp({ sport: 1000 + n, dport: 80 }),
              payload(data),
            );
            assert.equal(about.length, size);
            const { out } = answerTo(runner, frameOf({ vlans }, about));
            const answer = frame(
              { ...BACK, vlans },
              ipv4({ src: VIP4, dst: CLIENT4, df: true }),
              icmpError({ type: 3, mtu, about }),
            );
            assert.deepEqual(out, answer);
            assert.equal(runner.pipeline.outL2, 14 + 4 * vlans.length);
          }
        }
      }
    });

    it('is answered over IPv6 with the first 512 bytes of it as they came, and the size that fits', () => {
      const runner = new Runner(narrow(address, secondChance, PATH_MTU));
      const before: readonly Layer[][] = [
        [],
        [hopByHop()],
        [hopByHop(), destinationOptions({ length: 512 })],
      ];
      let n = 0;
      for (const vlans of TAGS) {
        for (const headers of before) {
          for (const data of [mtu - 59, mtu - 58, 1400]) {
            const given = { trafficClass: (n * 37) & 0xff, flowLabel: 0xfffff - n, hopLimit: 2 + n };
            n++;
            const about = packet(
              ipv6({ src: CLIENT6, dst: VIP6, ...given }),
              ...headers,
              tcp({ sport: 1000 + n, dport: 80 }),
              payload(data),
            );
            const { out } = answerTo(runner, frameOf({ vlans }, about));
            const answer = frame(
              { ...BACK, vlans },
              ipv6({ src: VIP6, dst: CLIENT6 }),
              icmpv6Error({ type: 2, mtu, about, quoteBytes: 512 }),
            );
            assert.deepEqual(out, answer);
            assert.equal(runner.pipeline.outL2, 14 + 4 * vlans.length);
          }
        }
      }
    });

    it('is what has one byte more than fits', () => {
      const runner = new Runner(narrow(address, secondChance, PATH_MTU));
      for (const [more, verdict] of [
        [0, 'forwarded'],
        [1, 'too_big_answered'],
      ] as const) {
        const tcp4 = [ipv4({ src: CLIENT4, dst: VIP4, df: true }), tcp({ sport: 1, dport: 80 })];
        assert.equal(answerTo(runner, frame({}, ...tcp4, payload(mtu - 40 + more))).verdict, verdict);
        const tcp6 = [ipv6({ src: CLIENT6, dst: VIP6 }), tcp({ sport: 1, dport: 80 })];
        assert.equal(answerTo(runner, frame({}, ...tcp6, payload(mtu - 60 + more))).verdict, verdict);
      }
    });
  });
}

describe('an IPv6 packet for a way that does not even take 1280 bytes', () => {
  for (const [name, { address, secondChance, overhead }] of Object.entries(WAYS)) {
    it(`is told 1280 when it is larger, never less, and nothing when it is not, over ${name}`, () => {
      for (const mtu of [700, 1280, 1279 + overhead]) {
        const runner = new Runner(narrow(address, secondChance, mtu));
        const sized = (bytes: number) =>
          packet(ipv6({ src: CLIENT6, dst: VIP6 }), tcp({ sport: 1, dport: 80 }), payload(bytes - 60));
        for (const bytes of [1281, 1500]) {
          const about = sized(bytes);
          const { out } = answerTo(runner, frameOf({}, about));
          const told = icmpv6Error({ type: 2, mtu: 1280, about, quoteBytes: 512 });
          assert.deepEqual(out, frame(BACK, ipv6({ src: VIP6, dst: CLIENT6 }), told));
        }
        assert.equal(answerTo(runner, frameOf({}, sized(1280))).verdict, 'drop_too_big');
        assert.equal(answerTo(runner, frameOf({}, sized(mtu - overhead))).verdict, 'forwarded');
      }
    });
  }
});

describe('what is too big and not answered', () => {
  const runner = new Runner(narrow('10.1.0.11', false));
  const verdict = (asked: Uint8Array): string => answerTo(runner, asked).verdict;

  it('is an ICMP error, however large its quote', () => {
    const about4 = packet(ipv4({ src: VIP4, dst: CLIENT4 }), tcp({ sport: 80, dport: 1 }), payload(1000));
    const error4 = icmpError({ type: 3, about: about4, quoteBytes: 1000 });
    assert.equal(verdict(frame({}, ipv4({ src: CLIENT4, dst: VIP4, df: true }), error4)), 'drop_too_big');
    const about6 = packet(ipv6({ src: VIP6, dst: CLIENT6 }), tcp({ sport: 80, dport: 1 }), payload(1000));
    const error6 = icmpv6Error({ type: 1, about: about6 });
    assert.equal(verdict(frame({}, ipv6({ src: CLIENT6, dst: VIP6 }), error6)), 'drop_too_big');
  });

  it('is what may be fragmented, and any fragment but the first', () => {
    const layers = [udp({ sport: 1, dport: 53 }), payload(3000)];
    const whole = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), udp({ sport: 1, dport: 53 }), payload(900));
    assert.equal(verdict(whole), 'drop_too_big');
    for (const df of [false, true]) {
      const verdicts = ipv4Fragments({ src: CLIENT4, dst: VIP4, df }, layers, 1000).map((piece) =>
        verdict(frameOf({}, piece)),
      );
      const first = df ? 'too_big_answered' : 'drop_too_big';
      assert.deepEqual(verdicts, [first, 'drop_too_big', 'drop_too_big', 'forwarded_fragment']);
    }
    const pieces6 = ipv6Fragments({ src: CLIENT6, dst: VIP6 }, layers, 1400);
    assert.equal(verdict(frameOf({}, pieces6[0])), 'too_big_answered');
  });

  it('is what came with a damaged IPv4 header', () => {
    const asked = frame(
      {},
      ipv4({ src: CLIENT4, dst: VIP4, df: true, checksum: 0x1234 }),
      tcp({ sport: 1, dport: 80 }),
      payload(1000),
    );
    assert.equal(verdict(asked), 'drop_checksum');
  });
});

describe('what fits', () => {
  it('can be as long as a frame can be', () => {
    for (const mtu of [32767, 32768, 65535]) {
      const wide = new Runner({ pools: { web: [{ address: '10.1.0.11', mtu }] } });
      const header = [ipv4({ src: CLIENT4, dst: VIP4, df: true }), tcp({ sport: 1, dport: 80 })];
      const fits = mtu - 24 - 40;
      assert.equal(answerTo(wide, frame({}, ...header, payload(fits))).verdict, 'forwarded');
      const beyond = frame({}, ...header, payload(fits + 1));
      assert.equal(answerTo(wide, beyond).verdict, 'too_big_answered');
    }
  });
});

describe('the limit on too-big answers', () => {
  const big6 = (src: string, sport: number) =>
    frame({}, ipv6({ src, dst: VIP6 }), tcp({ sport, dport: 80 }), payload(1300));
  const big4 = frame(
    {},
    ipv4({ src: CLIENT4, dst: VIP4, df: true }),
    tcp({ sport: 1, dport: 80 }),
    payload(1000),
  );

  it('is shared by the addresses of one /64, and not by other /64s', () => {
    const runner = new Runner(narrow('10.1.0.11', false));
    runner.pipeline.tick++;
    assert.equal(runner.run(big6('2001:db8:c:7::1', 1)).verdict, 'too_big_answered');
    for (const address of ['2001:db8:c:7::2', '2001:db8:c:7:8000::1', '2001:db8:c:7:0:1::1']) {
      assert.equal(runner.run(big6(address, 2)).verdict, 'drop_too_big_limited', address);
    }
    for (const net of [
      (n: number) => `2001:db8:${n.toString(16)}:7::1`,
      (n: number) => `2001:db8:c:${n.toString(16)}::1`,
      (n: number) => `2001:${n.toString(16)}:c:7::1`,
    ]) {
      runner.pipeline.tick++;
      const verdicts = Array.from({ length: 200 }, (_, n) => runner.run(big6(net(n + 1), 1)).verdict);
      // Each would have to share all four of its cells: the key is fixed, and it does not.
      assert.deepEqual(new Set(verdicts), new Set(['too_big_answered']));
    }
  });

  it('ends with the tick, also where the count of ticks wraps to negative', () => {
    const runner = new Runner(narrow('10.1.0.11', false));
    for (const tick of [0, 1, 0x7ffffffe, 0x7fffffff, -0x80000000, -0x7fffffff]) {
      runner.pipeline.tick = tick;
      assert.equal(runner.run(big4).verdict, 'too_big_answered', `tick ${tick}`);
      assert.equal(runner.run(big4).verdict, 'drop_too_big_limited', `tick ${tick}`);
    }
  });

  it('counts for the answers alone: what is dropped uses nothing up', () => {
    const runner = new Runner(narrow('10.1.0.11', false));
    const quiet = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport: 80 }), payload(1000));
    assert.equal(runner.run(quiet).verdict, 'drop_too_big');
    assert.equal(runner.run(big4).verdict, 'too_big_answered');
  });
});
