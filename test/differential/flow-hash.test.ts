/** The C flow hash: the vectors that TypeScript's is held to, and TypeScript's own results on anything. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { FLOW_WORDS, flowHash, flowHashPair, slotOf } from '#anyhop/hash/flow.js';
import { devLibrary } from '../../scripts/native/object.js';
import { Random, seedOfRun } from './random.js';

interface Vectors {
  published: { key: string; hashes: string[] };
  flows: { mode: string; family: number; key: string; input: string; hash: string; slot65537: number }[];
}
const vectors: Vectors = JSON.parse(readFileSync('test/vectors/flow-hash.json', 'utf8'));

/** Words of an input: none up to IPv6's address and ports. */
const WORDS_MAX = 5;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** Hashes and slots of `count` inputs of the same length. */
function hashInC(keys: Buffer, inputs: Buffer, count: number, slots: number): [hash: number, slot: number][] {
  const out = Buffer.alloc(count * 8);
  const some = inputs.length > 0 ? inputs : Buffer.alloc(4); // an empty Buffer cannot be passed
  devLibrary.call(
    'ERR_NATIVE',
    'anyhop_dev_flow_hash',
    keys,
    some,
    inputs.length / 4 / count,
    count,
    slots,
    out,
  );
  return Array.from({ length: count }, (_, i) => [out.readUInt32LE(i * 8), out.readUInt32LE(i * 8 + 4)]);
}

describe('the flow hash in C', () => {
  it('gives the published vectors at every length that it can take', () => {
    const input = Buffer.from(Uint8Array.from({ length: 4 * WORDS_MAX }, (_, i) => i));
    for (let words = 0; words <= WORDS_MAX; words++) {
      const [[hash]] = hashInC(hex(vectors.published.key), input.subarray(0, words * 4), 1, 65537);
      assert.equal(hash, Number.parseInt(vectors.published.hashes[words * 4], 16), `${words * 4} bytes`);
    }
  });

  it('gives the shared vectors, hash and slot, for every layout of the input', () => {
    const layouts = new Set<string>();
    for (const flow of vectors.flows) {
      layouts.add(`${flow.mode} ${flow.family}`);
      const [[hash, slot]] = hashInC(hex(flow.key), hex(flow.input), 1, 65537);
      assert.equal(hash.toString(16).padStart(8, '0'), flow.hash, JSON.stringify(flow));
      assert.equal(slot, flow.slot65537, JSON.stringify(flow));
    }
    assert.equal(layouts.size, 6);
  });

  it('equals TypeScript’s for any key, input and number of slots', () => {
    const seed = seedOfRun();
    const random = new Random(seed);
    const count = 2000;
    for (let words = 0; words <= WORDS_MAX; words++) {
      const keys = Buffer.from(Uint8Array.from({ length: count * 8 }, () => random.byte()));
      const inputs = Buffer.from(Uint8Array.from({ length: count * words * 4 }, () => random.byte()));
      const slots = 1 + random.below(655373);
      for (const [i, [hash, slot]] of hashInC(keys, inputs, count, slots).entries()) {
        const [key0, key1] = [keys.readInt32LE(i * 8), keys.readInt32LE(i * 8 + 4)];
        const input = new Int32Array(FLOW_WORDS);
        for (let word = 0; word < words; word++) input[word] = inputs.readInt32LE((i * words + word) * 4);
        const message = `ANYHOP_SEED=${seed}, input ${i} of ${words} words`;
        if (words === 2) assert.equal(hash, flowHashPair(key0, key1, input[0], input[1]) >>> 0, message);
        assert.equal(hash, flowHash(key0, key1, input, words) >>> 0, message);
        assert.equal(slot, slotOf(hash, slots), message);
      }
    }
  });
});
