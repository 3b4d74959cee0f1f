/** Echo replies, compared as whole frames with what a host that speaks the RFCs would have sent. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  authentication,
  concat,
  destinationOptions,
  fragment,
  frame,
  hopByHop,
  icmpEcho,
  icmpv6Echo,
  ipOption,
  ipv4,
  ipv6,
  type Layer,
  NODE_MAC,
  payload,
  ROUTER_MAC,
  routing,
  type VlanTag,
} from '../packets/build.js';
import { internetChecksum } from '../packets/decode-util.js';
import { Runner, VIP4, VIP6 } from './fixture.js';

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
const SIZES = [0, 1, 17, 56, 1472];

function assertAnswered(runner: Runner, asked: Uint8Array, expected: Uint8Array, tags: number): void {
  runner.pipeline.tick++;
  const { verdict, out } = runner.run(asked);
  assert.equal(verdict, 'echo_answered');
  assert.deepEqual(out, expected);
  assert.equal(runner.pipeline.outL2, 14 + 4 * tags);
}

describe('an echo reply over IPv4', () => {
  const options = [undefined, concat(ipOption.recordRoute(3)), ipOption.timestamp(9)];

  it('has the same message, id and DF, the DSCP without ECN, a TTL of its own and no options', () => {
    const runner = new Runner();
    let n = 0;
    for (const vlans of TAGS) {
      for (const size of SIZES) {
        for (const option of options) {
          const tos = (n * 37) & 0xff;
          const df = n % 2 === 0;
          const [id, ttl] = [0x1234 + n, 1 + (n % 3)];
          const echo = { id: 0xbeef - n, sequence: n, code: n % 4 };
          n++;
          const asked = { src: CLIENT4, dst: VIP4, tos, df, id, ttl, ...(option && { options: option }) };
          const reply = { src: VIP4, dst: CLIENT4, tos: tos & 0xfc, df, id, ttl: 64 };
          assertAnswered(
            runner,
            frame({ vlans, padTo: 64 }, ipv4(asked), icmpEcho(echo), payload(size)),
            frame({ ...BACK, vlans }, ipv4(reply), icmpEcho({ ...echo, reply: true }), payload(size)),
            vlans.length,
          );
        }
      }
    }
  });

  it('has a checksum that verifies, for every one that a request can have', () => {
    const runner = new Runner();
    const seen = new Set<number>();
    for (let id = 0; id < 65536; id++) {
      runner.pipeline.tick++;
      const { out } = runner.run(frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), icmpEcho({ id, sequence: 0 })));
      const message = out!.subarray(34);
      assert.equal(internetChecksum(message), 0, `identifier ${id}`);
      seen.add((message[2] << 8) | message[3]);
    }
    assert.equal(seen.size, 65535); // 0 and 0xffff are one and the same in one's complement
    const zeros = runner.run(frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), icmpEcho({ id: 0, sequence: 0 })));
    assert.deepEqual([...zeros.out!.subarray(34)], [0, 0, 0xff, 0xff, 0, 0, 0, 0]);
  });

  it('is not made of a request whose IP header is damaged', () => {
    const runner = new Runner();
    for (let bit = 0; bit < 16; bit++) {
      const asked = frame({}, ipv4({ src: CLIENT4, dst: VIP4 }), icmpEcho(), payload(8));
      asked[24 + (bit >> 3)] ^= 1 << (bit & 7);
      assert.equal(runner.run(asked).verdict, 'drop_checksum');
    }
    const options = ipOption.timestamp(1);
    const damaged = frame({}, ipv4({ src: CLIENT4, dst: VIP4, options }), icmpEcho());
    damaged[14 + 27] ^= 1; // the last byte of the options
    assert.equal(runner.run(damaged).verdict, 'drop_checksum');
  });
});

describe('an echo reply over IPv6', () => {
  const before: readonly Layer[][] = [
    [],
    [hopByHop({ length: 16 })],
    [hopByHop(), destinationOptions({ length: 64 }), routing({ addresses: [CLIENT6] })],
    [authentication(), fragment()],
  ];

  it('has the same message, the DSCP without ECN, a hop limit of its own and neither label nor extension headers', () => {
    const runner = new Runner();
    let n = 0;
    for (const vlans of TAGS) {
      for (const size of SIZES) {
        for (const headers of before) {
          const trafficClass = (n * 37) & 0xff;
          const echo = { id: 0xbeef - n, sequence: n, code: n % 4 };
          const asked = { trafficClass, flowLabel: 0xfffff - n, hopLimit: 1 + (n % 3) };
          n++;
          assertAnswered(
            runner,
            frame(
              { vlans, padTo: 80 },
              ipv6({ src: CLIENT6, dst: VIP6, ...asked }),
              ...headers,
              icmpv6Echo(echo),
              payload(size),
            ),
            frame(
              { ...BACK, vlans },
              ipv6({ src: VIP6, dst: CLIENT6, trafficClass: trafficClass & 0xfc }),
              icmpv6Echo({ ...echo, reply: true }),
              payload(size),
            ),
            vlans.length,
          );
        }
      }
    }
  });

  it('has the checksum of the whole message, for every one that a request can have', () => {
    const runner = new Runner();
    for (let id = 0; id < 65536; id++) {
      runner.pipeline.tick++;
      const asked = frame({}, ipv6({ src: CLIENT6, dst: VIP6 }), icmpv6Echo({ id, sequence: 0 }));
      const expected = frame(
        BACK,
        ipv6({ src: VIP6, dst: CLIENT6 }),
        icmpv6Echo({ id, sequence: 0, reply: true }),
      );
      assert.equal(Buffer.compare(runner.run(asked).out!, expected), 0, `identifier ${id}`);
    }
  });
});
