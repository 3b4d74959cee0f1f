import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import { FLOW_WORDS, flowHash, flowHashFive, flowHashPair, slotOf } from '#anyhop/hash/flow.js';
import { oracleHash } from './oracle.js';
import { VECTORS, wordsOf } from './vectors.js';

/** Where the key stands in its memory: not at the start, as in an image. */
const KEY_AT = 3;

/** By every function that takes so many words; they agree, and none reads more than it should. */
function hashOf(key: Int32Array, input: Int32Array): number {
  const memory = new Int32Array(KEY_AT + key.length + 1).fill(-1);
  memory.set(key, KEY_AT);
  const longer = new Int32Array(FLOW_WORDS + 1).fill(-1);
  longer.set(input);
  const hash = flowHash(memory, KEY_AT, longer, input.length);
  if (input.length === 2) assert.equal(flowHashPair(memory, KEY_AT, input[0], input[1]), hash);
  if (input.length === 5) assert.equal(flowHashFive(memory, KEY_AT, longer), hash);
  return hash >>> 0;
}

/** Words, among them many whose halves are all ones or zeros. */
const word = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(0, -1, 1, 0xffff, -0x10000, 0x10000, -(2 ** 31), 2 ** 31 - 1),
);
const words = (minLength: number, maxLength: number): fc.Arbitrary<Int32Array> =>
  fc.array(word, { minLength, maxLength }).map((list) => Int32Array.from(list));

describe('flow hash', () => {
  it('gives the shared vectors for every layout of the input', () => {
    const layouts = new Set<string>();
    for (const flow of VECTORS.flows) {
      layouts.add(`${flow.mode} ${flow.family}`);
      const hash = hashOf(wordsOf(flow.key), wordsOf(flow.input));
      assert.equal(hash.toString(16).padStart(8, '0'), flow.hash, JSON.stringify(flow));
      assert.equal(slotOf(hash, 65537), flow.slot65537);
    }
    assert.equal(layouts.size, 6);
    assert.equal(VECTORS.version, L.FLOW_HASH_VERSION);
  });

  it('gives the shared vectors at the edges of words, for inputs of every length', () => {
    const lengths = new Set<number>();
    for (const { key, input, hash } of VECTORS.raw) {
      const given = wordsOf(input);
      lengths.add(given.length);
      assert.equal(hashOf(wordsOf(key), given).toString(16).padStart(8, '0'), hash, `${key} ${input}`);
    }
    assert.deepEqual([...lengths], [1, 2, 3, 4, 5]);
  });

  it('equals its definition in BigInt for any key and input', () => {
    fc.assert(
      fc.property(words(L.FLOW_KEY_WORDS, L.FLOW_KEY_WORDS), words(1, FLOW_WORDS), (key, input) => {
        assert.equal(hashOf(key, input), oracleHash(key, input));
      }),
      { numRuns: 10_000 },
    );
  });
});

describe('slot of a hash', () => {
  it('is floor(hash * M / 2^32), as BigInt computes it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }),
        fc.integer({ min: 1, max: 655373 }),
        (hash, slots) => {
          const want = Number((BigInt(hash >>> 0) * BigInt(slots)) >> 32n);
          assert.equal(slotOf(hash, slots), want);
        },
      ),
      { numRuns: 5000 },
    );
    assert.equal(slotOf(-1, 65537), 65536);
    assert.equal(slotOf(0, 65537), 0);
  });
});
