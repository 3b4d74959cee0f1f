/** From a packet to its hash: what counts and what does not, held to the shared vectors; and headers that are not whole. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VECTORS } from '../hash/vectors.js';
import { frame, ipv4, ipv6, payload, tcp, udp } from '../packets/build.js';
import { Runner, SECRET, VIP4, VIP6 } from './fixture.js';

describe('a packet', () => {
  it('has the hash and the slot of its flow in the shared vectors', () => {
    assert.equal(Buffer.from(SECRET).toString('hex'), VECTORS.secret);
    for (const flow of VECTORS.flows) {
      const { mode: hash, protocol, vip, destinationPort: port } = flow;
      const runner = new Runner({ slots: 65537, services: [{ vip, protocol, port, hash }] });
      const ip = (vip.includes(':') ? ipv6 : ipv4)({ src: flow.source, dst: vip });
      const transport = (protocol === 'tcp' ? tcp : udp)({ sport: flow.sourcePort, dport: port });
      assert.equal(runner.run(frame({}, ip, transport)).verdict, 'forwarded');
      assert.equal(
        (runner.pipeline.hash >>> 0).toString(16).padStart(8, '0'),
        flow.hash,
        JSON.stringify(flow),
      );
      assert.equal(runner.pipeline.slot, flow.slot65537);
    }
  });

  it('is truncated when its transport header is not whole', () => {
    const runner = new Runner();
    for (const [protocol, whole, port] of [
      [6, 20, 80],
      [17, 8, 53],
    ] as const) {
      const header = new Uint8Array(20);
      header[3] = port;
      for (let bytes = 0; bytes <= whole; bytes++) {
        const want = bytes < whole ? 'drop_truncated' : 'forwarded';
        const rest = payload(header.subarray(0, bytes), protocol);
        const four = frame({}, ipv4({ src: '198.51.100.7', dst: VIP4 }), rest);
        const six = frame({}, ipv6({ src: '2001:db8:c::7', dst: VIP6 }), rest);
        assert.equal(runner.run(four).verdict, want, `${protocol}: ${bytes} bytes`);
        assert.equal(runner.run(six).verdict, want, `${protocol}: ${bytes} bytes`);
      }
    }
  });

  it('to all or to a group of machines is dropped, even where the interface’s own address is not known', () => {
    const runner = new Runner();
    for (const [dst, verdict] of [
      ['ff:ff:ff:ff:ff:ff', 'drop_group_mac'],
      ['01:00:5e:00:00:01', 'drop_group_mac'],
      ['02:00:00:00:77:77', 'forwarded'],
    ]) {
      const four = frame({ dst }, ipv4({ src: '198.51.100.7', dst: VIP4 }), tcp({ sport: 1, dport: 80 }));
      const six = frame({ dst }, ipv6({ src: '2001:db8:c::7', dst: VIP6 }), tcp({ sport: 1, dport: 80 }));
      assert.equal(runner.run(four).verdict, verdict);
      assert.equal(runner.run(six).verdict, verdict);
    }
  });
});
