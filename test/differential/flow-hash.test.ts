/** The C flow hash: the vectors that TypeScript's is held to, and TypeScript's own results on anything. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { FLOW_WORDS, flowHash, slotOf } from '#anyhop/hash/flow.js';
import { sizesFor } from '../../scripts/native/forwarder.js';
import { devLibrary } from '../../scripts/native/object.js';
import { imageOf } from '../forward/fixture.js';
import { VECTORS, wordsOf } from '../hash/vectors.js';
import { frame, ipv4, ipv6, tcp, udp } from '../packets/build.js';
import { decapsulate } from '../packets/decode.js';
import { BpfSubject } from './pipelines.js';
import { Random, seedOfRun } from './random.js';
import { Frames } from './record.js';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** Hashes and slots of `count` inputs of the same length. */
function hashInC(keys: Buffer, inputs: Buffer, count: number, slots: number): [hash: number, slot: number][] {
  const out = Buffer.alloc(count * 8);
  devLibrary.call(
    'ERR_NATIVE',
    'anyhop_dev_flow_hash',
    keys,
    inputs,
    inputs.length / 4 / count,
    count,
    slots,
    out,
  );
  return Array.from({ length: count }, (_, i) => [out.readUInt32LE(i * 8), out.readUInt32LE(i * 8 + 4)]);
}

describe('the flow hash in C', () => {
  it('gives the shared vectors, hash and slot, for every layout of the input and at the edges of words', () => {
    for (const flow of VECTORS.flows) {
      const [[hash, slot]] = hashInC(hex(flow.key), hex(flow.input), 1, 65537);
      assert.equal(hash.toString(16).padStart(8, '0'), flow.hash, JSON.stringify(flow));
      assert.equal(slot, flow.slot65537, JSON.stringify(flow));
    }
    for (const { key, input, hash: want } of VECTORS.raw) {
      const [[hash]] = hashInC(hex(key), hex(input), 1, 65537);
      assert.equal(hash.toString(16).padStart(8, '0'), want, `${key} ${input}`);
    }
    assert.ok(VECTORS.flows.length > 60 && VECTORS.raw.length > 40);
  });

  it('equals TypeScript’s for any key, input and number of slots', () => {
    const seed = seedOfRun();
    const random = new Random(seed);
    const count = 2000;
    const keyBytes = L.FLOW_KEY_WORDS * 4;
    for (let words = 1; words <= FLOW_WORDS; words++) {
      const keys = Buffer.from(Uint8Array.from({ length: count * keyBytes }, () => random.byte()));
      const inputs = Buffer.from(Uint8Array.from({ length: count * words * 4 }, () => random.byte()));
      const slots = 1 + random.below(655373);
      for (const [i, [hash, slot]] of hashInC(keys, inputs, count, slots).entries()) {
        const key = wordsOf(keys.toString('hex', i * keyBytes, (i + 1) * keyBytes));
        const input = wordsOf(inputs.toString('hex', i * words * 4, (i + 1) * words * 4));
        const message = `ANYHOP_SEED=${seed}, input ${i} of ${words} words`;
        assert.equal(hash, flowHash(key, 0, input, words) >>> 0, message);
        assert.equal(slot, slotOf(hash, slots), message);
      }
    }
  });
});

describe('the flow hash in BPF', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  /**
   * The program tells no hash, but shows its bits in the outer header: the low ones in the source, the high ones, by way of the
   * slot's owner, in the destination.
   */
  it('gives the shared vectors', () => {
    const LOW_BITS = 24;
    const ADDRESSES = Array.from({ length: 256 }, (_, i) => `172.16.${i}.1`);
    const infos = [...new Set(VECTORS.flows.map((flow) => flow.info))];
    const batches = infos.map((info) => {
      const flows = VECTORS.flows.filter((flow) => flow.info === info);
      const services = flows.map(({ vip, protocol, destinationPort: port, mode: hash }) => ({
        vip,
        protocol,
        port,
        hash,
      }));
      const image = imageOf({
        slots: 65536,
        owner: (slot) => slot >>> 8,
        pools: { web: ADDRESSES.map((address) => ({ address })) },
        source4: `10.0.0.0/${32 - LOW_BITS}`,
        services: [...new Map(services.map((each) => [JSON.stringify(each), each])).values()],
      });
      return { flows, image };
    });
    const subject = new BpfSubject(sizesFor(batches.map(({ image }) => image)));
    try {
      for (const { flows, image } of batches) {
        subject.publish(image);
        const frames = flows.map(({ vip, protocol, source, sourcePort: sport, destinationPort: dport }) =>
          frame(
            {},
            (vip.includes(':') ? ipv6 : ipv4)({ src: source, dst: vip }),
            (protocol === 'tcp' ? tcp : udp)({ sport, dport }),
          ),
        );
        const results = subject.run(new Frames(frames));
        for (const [i, flow] of flows.entries()) {
          const { outer } = decapsulate(results.frame(i));
          const [, high] = outer.dst.split('.').slice(1).map(Number);
          const low = outer.src.split('.').slice(1).map(Number);
          const shown = Buffer.from([high, ...low]).toString('hex');
          assert.equal(shown, flow.hash, JSON.stringify(flow));
        }
      }
    } finally {
      subject.close();
    }
  });
});
