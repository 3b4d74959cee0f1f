/** Laws of the pipeline, over generated frames: what any implementation of it must keep. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { frameTo, junk, mutated } from '../packets/arbitrary.js';
import {
  frame,
  frameOf,
  icmpError,
  icmpv6Error,
  ipv4,
  ipv4Fragments,
  ipv6,
  packet,
  payload,
  tcp,
  udp,
} from '../packets/build.js';
import { decapsulate, decodeFrame } from '../packets/decode.js';
import { internetChecksum } from '../packets/decode-util.js';
import { macBytes } from '../packets/layer.js';
import { type FixtureOptions, imageOf, Runner, VIP4, VIP6 } from './fixture.js';

const CLIENT4 = '198.51.100.7';
const CLIENT6 = '2001:db8:c::7';
const MIXES: Record<string, FixtureOptions> = {
  'an IPv4 underlay': {},
  'an IPv6 underlay': { pools: { web: [{ address: 'fd00:1::11' }, { address: 'fd00:1::12' }] } },
  'VLAN tags and an outer source prefix': {
    pools: {
      web: [
        { address: '10.1.0.11', vlan: 7 },
        { address: 'fd00:1::12', vlan: 4094 },
      ],
    },
    source4: '10.0.0.0/28',
  },
};
const toVips = frameTo({ vips: [VIP4, VIP6], ports: [80, 53] });

/** The IP packet in a frame, without the padding behind it. */
function ipPacket(bytes: Uint8Array): Uint8Array {
  return decodeFrame(bytes).packet!.bytes;
}

/** Without what forwarding changes: TTL and checksum. */
function comparable(ip: Uint8Array): Uint8Array {
  const copy = ip.slice();
  if (copy[0] >> 4 === 4) copy.fill(0, 8, 9).fill(0, 10, 12);
  else copy[7] = 0;
  return copy;
}

for (const [name, options] of Object.entries(MIXES)) {
  describe(`over ${name}`, () => {
    it('what is forwarded decapsulates to the packet that came, TTL and checksum aside, and every checksum verifies', () => {
      const runner = new Runner(options);
      let forwarded = 0;
      fc.assert(
        fc.property(toVips, (generated) => {
          const { action, out } = runner.run(generated.frame);
          if (action !== 'forward') return;
          forwarded++;
          const { inner } = decapsulate(out!);
          const before = ipPacket(generated.frame);
          assert.deepEqual(comparable(inner), comparable(before));
          if (inner[0] >> 4 === 4) assert.equal(internetChecksum(inner.subarray(0, (inner[0] & 15) * 4)), 0);
        }),
        { numRuns: 1500 },
      );
      assert.ok(
        forwarded > 300,
        `only ${forwarded} of 1500 frames were forwarded: the generator misses its aim`,
      );
    });

    it('answers decode strictly, go back to the sender and keep its VLAN tags', () => {
      const runner = new Runner({ ...options, pools: { web: [{ address: '10.1.0.11', mtu: 700 }] } });
      let answered = 0;
      fc.assert(
        fc.property(toVips, (generated) => {
          runner.pipeline.tick++;
          const { action, out } = runner.run(generated.frame);
          if (action !== 'answer') return;
          answered++;
          const asked = decodeFrame(generated.frame);
          const answer = decodeFrame(out!);
          assert.deepEqual([answer.packet?.src, answer.packet?.dst], [asked.packet?.dst, asked.packet?.src]);
          assert.deepEqual([answer.dst, answer.src, answer.vlans], [asked.src, asked.dst, asked.vlans]);
          assert.equal(answer.packet?.ttl, 64);
        }),
        { numRuns: 1500 },
      );
      assert.ok(answered > 50, `only ${answered} of 1500 frames were answered: the generator misses its aim`);
    });
  });
}

describe('whatever arrives', () => {
  it('no frame, right, mutated or junk, makes it read beyond its end or throw, and each is counted once', () => {
    const runner = new Runner(MIXES['VLAN tags and an outer source prefix']);
    const frames = fc.oneof(mutated(toVips.map((generated) => generated.frame)), junk);
    fc.assert(
      fc.property(frames, (bytes) => {
        const before = runner.pipeline.counters.total();
        runner.run(bytes); // its memory ends with the frame: a read beyond it throws
        assert.equal(runner.pipeline.counters.total(), before + 1);
      }),
      { numRuns: 6000 },
    );
  });

  it('no frame that was cut at any byte makes it throw', () => {
    const runner = new Runner();
    fc.assert(
      fc.property(toVips, (generated) => {
        for (let length = 0; length <= Math.min(generated.frame.length, 160); length++) {
          runner.run(generated.frame.subarray(0, length));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('a verdict that passes or drops leaves the frame as it came', () => {
    const runner = new Runner({ pools: { web: [{ address: '10.1.0.11', mtu: 700 }] }, owner: () => L.NONE });
    fc.assert(
      fc.property(mutated(toVips.map((generated) => generated.frame)), (bytes) => {
        const memory = Uint8Array.from({ length: 96 + bytes.length });
        memory.set(bytes, 96);
        const verdict = VERDICTS[runner.pipeline.process(new DataView(memory.buffer), 96, bytes.length)];
        if (verdict.action === 'pass' || verdict.action === 'drop') assert.deepEqual(memory.slice(96), bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('link-layer padding is left behind', () => {
    const padded = frame({ padTo: 64 }, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport: 80 }));
    const { inner } = decapsulate(new Runner().run(padded).out!);
    assert.equal(inner.length, 40);
  });
});

describe('the outer header', () => {
  it('takes over DSCP and ECN, all 256 values, and has TTL 64 and DF', () => {
    const runner = new Runner(MIXES['VLAN tags and an outer source prefix']);
    for (let tos = 0; tos < 256; tos++) {
      for (const from of [
        frame({}, ipv4({ src: CLIENT4, dst: VIP4, tos }), tcp({ sport: tos + 1, dport: 80 })),
        frame({}, ipv6({ src: CLIENT6, dst: VIP6, trafficClass: tos }), tcp({ sport: tos + 1, dport: 80 })),
      ]) {
        const { outer } = decapsulate(runner.run(from).out!);
        assert.deepEqual([outer.dscp, outer.ecn, outer.ttl, outer.df], [tos >> 2, tos & 3, 64, true]);
      }
    }
  });

  it('spreads flows over every address of the source prefix, and one flow always has the same', () => {
    const runner = new Runner({ source4: '10.0.0.16/28' });
    const seen = new Set<string>();
    for (let sport = 1; sport <= 400; sport++) {
      const from = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport, dport: 80 }));
      const source = decapsulate(runner.run(from).out!).outer.src;
      assert.equal(decapsulate(runner.run(from).out!).outer.src, source);
      seen.add(source);
    }
    assert.deepEqual([...seen].sort(), Array.from({ length: 16 }, (_, host) => `10.0.0.${16 + host}`).sort());
  });

  it('carries the tag of the next hop, and none when it has none, whatever tags came in', () => {
    const runner = new Runner({ pools: { web: [{ address: '10.1.0.11', vlan: 7 }] } });
    const plain = new Runner();
    for (const vlans of [[], [9], [9, 10]]) {
      const from = frame({ vlans }, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 5, dport: 80 }));
      assert.deepEqual(
        decapsulate(runner.run(from).out!).ethernet.vlans.map(({ id }) => id),
        [7],
      );
      assert.deepEqual(decapsulate(plain.run(from).out!).ethernet.vlans, []);
    }
  });
});

describe('the GRE key', () => {
  const web = [
    { address: '10.1.0.11' },
    { address: 'fd00:1::a0b:c0d' },
    { address: '10.1.0.13', agent: false },
    { address: '10.1.0.14', id: 0x7fff },
  ];
  const options: FixtureOptions = {
    pools: { web },
    services: [
      { vip: VIP4, protocol: 'tcp', port: 80, secondChance: true },
      { vip: VIP4, protocol: 'tcp', port: 81 },
    ],
    owner: (slot) => slot % 4,
    alternate: (slot) => (slot % 5 === 0 ? L.NONE : (slot + 1) % 4),
    second: (slot) => (slot % 3 === 0 ? L.NONE : (slot + 2) % 4),
  };
  const run = (runner: Runner, sport: number, dport: number) => {
    const from = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport, dport }));
    return { ...decapsulate(runner.run(from).out!), slot: runner.pipeline.slot };
  };

  it('is the ids of the alternates at index 0, one without an agent last; bit 12 tells the format; no alternate, no key', () => {
    const runner = new Runner(options);
    const ids = [0x000b, 0x0c0d, 0x000d, 0x7fff];
    // By owner: the key with both alternates, with the first alone, and with the second alone.
    const keys = [
      [(ids[1] << 15) | ids[2], ids[1] << 15, ids[2] << 15],
      [(ids[3] << 15) | ids[2], ids[2] << 15, ids[3] << 15],
      [undefined, undefined, undefined],
      [(ids[0] << 15) | ids[1], ids[0] << 15, ids[1] << 15],
    ];
    const seen = new Set<string>();
    for (let sport = 1; sport < 1000; sport++) {
      const { outer, slot } = run(runner, sport, 80);
      const owner = slot % 4;
      assert.equal(outer.dst, web[owner].address);
      const which = slot % 3 !== 0 ? (slot % 5 !== 0 ? 0 : 2) : slot % 5 !== 0 ? 1 : 3;
      const want = keys[owner][which];
      assert.equal(outer.key, want, `slot ${slot}`);
      assert.equal(outer.alternates, want !== undefined);
      assert.equal(runner.pipeline.key, want ?? 0);
      seen.add(`${owner} ${which}`);
    }
    assert.equal(seen.size, 16);
  });

  it('is never written for a service without second chance', () => {
    const runner = new Runner(options);
    for (let sport = 1; sport < 100; sport++) assert.equal(run(runner, sport, 81).outer.key, undefined);
  });
});

describe('ICMP errors', () => {
  it('follow the flow that they embed to the same backend, whoever sent them', () => {
    const runner = new Runner();
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65535 }), fc.boolean(), fc.boolean(), (sport, isTcp, isIpv6) => {
        const [client, vip, router] = isIpv6
          ? [CLIENT6, VIP6, '2001:db8:99::1']
          : [CLIENT4, VIP4, '192.0.2.99'];
        const ip = isIpv6 ? ipv6 : ipv4;
        const there = isTcp ? tcp({ sport, dport: 80 }) : udp({ sport, dport: 53 });
        const back = isTcp ? tcp({ sport: 80, dport: sport }) : udp({ sport: 53, dport: sport });
        const flow = runner.run(frame({}, ip({ src: client, dst: vip }), there, payload(8)));
        const about = packet(ip({ src: vip, dst: client }), back, payload(8));
        const error = isIpv6 ? icmpv6Error({ type: 2, about }) : icmpError({ type: 3, code: 4, about });
        const followed = runner.run(frame({}, ip({ src: router, dst: vip }), error));
        assert.equal(followed.verdict, 'forwarded_icmp_error');
        assert.equal(decapsulate(followed.out!).outer.dst, decapsulate(flow.out!).outer.dst);
      }),
      { numRuns: 400 },
    );
  });
});

describe('fragments', () => {
  it('of one datagram all go to the backend that a datagram with other ports of that client goes to', () => {
    const runner = new Runner();
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 1, max: 254 }), (sport, host) => {
        const header = { src: `198.51.100.${host}`, dst: VIP4, df: false };
        const pieces = [sport, (sport % 65535) + 1].flatMap((port) =>
          ipv4Fragments(header, [udp({ sport: port, dport: 53 }), payload(200)], 64),
        );
        const owners = pieces.map((piece) => {
          const { verdict, out } = runner.run(frameOf({}, piece));
          assert.equal(verdict, 'forwarded_fragment');
          return decapsulate(out!).outer.dst;
        });
        assert.equal(new Set(owners).size, 1);
      }),
      { numRuns: 200 },
    );
  });

  it('of a port that is no service are stopped at the first one, which shows it', () => {
    const [first] = ipv4Fragments(
      { src: CLIENT4, dst: VIP4, df: false },
      [udp({ sport: 1, dport: 54 }), payload(200)],
      64,
    );
    assert.equal(new Runner().run(frameOf({}, first)).verdict, 'drop_no_service');
  });

  it('of services that hash by source go where the client goes, TCP too', () => {
    const runner = new Runner({
      services: [
        { vip: VIP4, protocol: 'tcp', port: 80, hash: 'source' },
        { vip: VIP4, protocol: 'udp', port: 53, hash: 'source' },
      ],
    });
    for (let host = 1; host < 100; host++) {
      const src = `198.51.100.${host}`;
      const whole = runner.run(frame({}, ipv4({ src, dst: VIP4 }), tcp({ sport: host, dport: 80 })));
      const pieces = [
        ...ipv4Fragments({ src, dst: VIP4, df: false }, [tcp({ sport: 9, dport: 80 }), payload(200)], 64),
        ...ipv4Fragments({ src, dst: VIP4, df: false }, [udp({ sport: 9, dport: 53 }), payload(200)], 64),
      ];
      for (const piece of pieces) {
        const { verdict, out } = runner.run(frameOf({}, piece));
        assert.equal(verdict, 'forwarded_fragment');
        assert.equal(decapsulate(out!).outer.dst, decapsulate(whole.out!).outer.dst);
      }
    }
  });
});

describe('too-big answers', () => {
  const options: FixtureOptions = { pools: { web: [{ address: '10.1.0.11', mtu: 1000 }] } };
  const big = (src: string, sport: number, bytes: number) =>
    frame({}, ipv4({ src, dst: VIP4, df: true }), tcp({ sport, dport: 80 }), payload(bytes - 40));

  it('name the size that just fits: a packet of that size is forwarded, one byte more is not', () => {
    const runner = new Runner(options);
    const answer = decodeFrame(runner.run(big(CLIENT4, 1, 1200)).out!).packet!;
    const mtu = (answer.payload[6] << 8) | answer.payload[7];
    assert.equal(mtu, 1000 - 24);
    assert.equal(runner.run(big(CLIENT4, 2, mtu)).verdict, 'forwarded');
    runner.pipeline.tick++;
    assert.equal(runner.run(big(CLIENT4, 3, mtu + 1)).verdict, 'too_big_answered');
  });

  it('are one a tick for one client, whatever ports it uses, and leave the others theirs', () => {
    const runner = new Runner(options);
    const greedy = Array.from({ length: 9000 }, (_, i) => runner.run(big(CLIENT4, 1 + i, 1200)).verdict);
    assert.equal(greedy.filter((verdict) => verdict === 'too_big_answered').length, 1);
    const others = Array.from(
      { length: 200 },
      (_, i) => runner.run(big(`192.0.2.${i + 1}`, 1, 1200)).verdict,
    );
    const answered = others.filter((verdict) => verdict === 'too_big_answered').length;
    // 201 balls into 1024 bins: 19 collide on average, 40 or more once in a hundred thousand keys.
    assert.ok(answered > 160, `${answered} of 200 other clients were answered`);
    runner.pipeline.tick++;
    assert.equal(runner.run(big(CLIENT4, 1, 1200)).verdict, 'too_big_answered');
  });
});

describe('what is not for this machine', () => {
  const to = (dst: string) => frame({ dst }, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport: 80 }));

  it("passes when the MAC address is not the interface's own, and is forwarded when it is", () => {
    const runner = new Runner({ mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
    assert.equal(runner.run(to('02:00:00:00:00:01')).verdict, 'forwarded');
    assert.equal(runner.run(to('02:00:00:00:00:02')).verdict, 'pass_other_host');
    assert.equal(runner.run(to('02:00:00:00:01:01')).verdict, 'pass_other_host');
    assert.equal(runner.run(to('ff:ff:ff:ff:ff:ff')).verdict, 'drop_group_mac');
  });

  it('is forwarded for each of as many further MAC addresses of the host as an image has room for', () => {
    const macs = Array.from(
      { length: L.OTHER_MACS_MAX },
      (_, i) => `00:00:5e:00:01:${(0x30 + i).toString(16)}`,
    );
    const otherMacs = macs.map(macBytes);
    const runner = new Runner({ mac: Uint8Array.of(2, 0, 0, 0, 0, 1), otherMacs });
    for (const mac of [...macs, '02:00:00:00:00:01'])
      assert.equal(runner.run(to(mac)).verdict, 'forwarded', mac);
    for (const mac of ['00:00:5e:00:01:3f', '00:00:5e:00:02:30', '02:00:5e:00:01:30'])
      assert.equal(runner.run(to(mac)).verdict, 'pass_other_host', mac);
    assert.throws(() => new Runner({ otherMacs: [...otherMacs, otherMacs[0]] }), RangeError);
  });
});

describe('services', () => {
  it('are found by port exactly where the ranges say, for any ranges', () => {
    const ports = fc.uniqueArray(fc.integer({ min: 1, max: 65535 }), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(ports, fc.array(fc.integer({ min: 0, max: 65535 }), { maxLength: 60 }), (edges, asked) => {
        const sorted = edges.toSorted((a, b) => a - b);
        const ranges: [number, number][] = [];
        for (let i = 0; i + 1 < sorted.length; i += 2) ranges.push([sorted[i], sorted[i + 1]]);
        const runner = new Runner({
          services: ranges.map((port) => ({ vip: VIP4, protocol: 'tcp', port })),
        });
        for (const dport of [...asked, ...sorted, ...sorted.map((port) => port - 1)]) {
          const want = ranges.findIndex(([first, last]) => dport >= first && dport <= last);
          const { verdict } = runner.run(
            frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport })),
          );
          assert.equal(verdict, want < 0 ? 'drop_no_service' : 'forwarded', `port ${dport}`);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('are found for any set of VIPs, and an address that is none passes', () => {
    const word = fc.integer({ min: 0, max: 0xffff });
    const vip6 = fc
      .array(word, { minLength: 7, maxLength: 7 })
      .map((w) => `2001:${w.map((x) => x.toString(16)).join(':')}`);
    const vip4 = fc
      .tuple(fc.integer({ min: 1, max: 223 }), ...Array(3).fill(fc.nat(255)))
      .map((b) => b.join('.'));
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof(vip4, vip6), { minLength: 1, maxLength: 200 }), (vips) => {
        const [absent, ...present] = vips;
        const runner = new Runner({ services: present.map((vip) => ({ vip, protocol: 'tcp', port: 80 })) });
        const ask = (vip: string) => {
          const ip = vip.includes(':') ? ipv6({ src: CLIENT6, dst: vip }) : ipv4({ src: CLIENT4, dst: vip });
          return runner.run(frame({}, ip, tcp({ sport: 1, dport: 80 }))).verdict;
        };
        for (const vip of present) assert.equal(ask(vip), 'forwarded', vip);
        assert.equal(ask(absent), 'pass_not_vip');
      }),
      { numRuns: 60 },
    );
  });

  it('of a pool that has no owner for a slot drop under their own verdict', () => {
    const runner = new Runner({ owner: () => L.NONE });
    const { verdict } = runner.run(
      frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport: 80 })),
    );
    assert.equal(verdict, 'drop_no_backend');
  });

  it('of a slot to whose owner no way is known drop under the same verdict, and the others go their way', () => {
    const backends = [{ address: '10.1.0.11', isReachable: false }, { address: '10.1.0.12' }];
    const runner = new Runner({ pools: { web: backends } });
    const verdicts = Array.from({ length: 64 }, (_, i) => {
      const { verdict } = runner.run(
        frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1024 + i, dport: 80 })),
      );
      return [verdict, runner.pipeline.slot % 2];
    });
    assert.ok(verdicts.some(([, owner]) => owner === 0) && verdicts.some(([, owner]) => owner === 1));
    for (const [verdict, owner] of verdicts)
      assert.equal(verdict, owner === 0 ? 'drop_no_backend' : 'forwarded');
  });

  it('count packets and bytes under their own number, and fragments under that of the first', () => {
    const runner = new Runner();
    runner.run(frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), tcp({ sport: 1, dport: 80 }), payload(10)));
    const [piece] = ipv4Fragments(
      { src: CLIENT4, dst: VIP4, df: false },
      [udp({ sport: 1, dport: 53 }), payload(99)],
      64,
    );
    runner.run(frameOf({}, piece));
    const { services, backends } = runner.pipeline.counters;
    assert.deepEqual([...services.slice(0, 6)], [1, 50, 0, 0, 1, piece.length]);
    assert.equal(
      backends.filter((_, i) => i % 2 === 0).reduce((a, b) => a + b),
      2,
    );
  });
});

it('an image is the same for the same input, tells its own size, and refuses to be read as anything else', () => {
  const image = imageOf();
  assert.deepEqual(imageOf().bytes, image.bytes);
  assert.throws(
    () => new (image.constructor as new (b: ArrayBuffer) => unknown)(new ArrayBuffer(512)),
    RangeError,
  );
});
