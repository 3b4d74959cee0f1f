import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FLOW_WORDS, flowHash, slotOf } from '#anyhop/hash/flow.js';

/** HalfSipHash-c-d over whole bytes with BigInt-free but literal steps: the paper's text, for the test alone. */
function halfSipHash13(key: Uint8Array, input: Uint8Array): number {
  const u32 = (n: number): number => n >>> 0;
  const rotl = (x: number, b: number): number => u32((x << b) | (x >>> (32 - b)));
  const le = (b: Uint8Array, at: number): number =>
    u32(b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24));
  const k0 = le(key, 0);
  const k1 = le(key, 4);
  const v = [k0, k1, u32(0x6c796765 ^ k0), u32(0x74656462 ^ k1)];
  const round = (): void => {
    v[0] = u32(v[0] + v[1]);
    v[1] = rotl(v[1], 5);
    v[1] = u32(v[1] ^ v[0]);
    v[0] = rotl(v[0], 16);
    v[2] = u32(v[2] + v[3]);
    v[3] = rotl(v[3], 8);
    v[3] = u32(v[3] ^ v[2]);
    v[0] = u32(v[0] + v[3]);
    v[3] = rotl(v[3], 7);
    v[3] = u32(v[3] ^ v[0]);
    v[2] = u32(v[2] + v[1]);
    v[1] = rotl(v[1], 13);
    v[1] = u32(v[1] ^ v[2]);
    v[2] = rotl(v[2], 16);
  };
  const padded = new Uint8Array((input.length & ~3) + 4);
  padded.set(input);
  padded[padded.length - 1] = input.length & 0xff;
  for (let at = 0; at < padded.length; at += 4) {
    const m = le(padded, at);
    v[3] = u32(v[3] ^ m);
    round();
    v[0] = u32(v[0] ^ m);
  }
  v[2] = u32(v[2] ^ 0xff);
  for (let i = 0; i < 3; i++) round();
  return u32(v[1] ^ v[3]);
}

function flowHashOfBytes(key: Uint8Array, input: Uint8Array): number {
  const keyView = new DataView(key.buffer, key.byteOffset);
  const inputView = new DataView(input.buffer, input.byteOffset);
  const words = new Int32Array(FLOW_WORDS).fill(-1);
  for (let i = 0; i < input.length / 4; i++) words[i] = inputView.getInt32(i * 4, true);
  return flowHash(keyView.getInt32(0, true), keyView.getInt32(4, true), words, input.length / 4) >>> 0;
}

interface Vectors {
  published: { source: string; key: string; hashes: string[] };
  flows: { mode: string; family: number; key: string; input: string; hash: string; slot65537: number }[];
}
const vectors: Vectors = JSON.parse(readFileSync('test/vectors/flow-hash.json', 'utf8'));
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

describe('flow hash', () => {
  it('the test oracle gives all 64 published vectors of HalfSipHash-1-3', () => {
    const key = hex(vectors.published.key);
    const input = Uint8Array.from({ length: 64 }, (_, i) => i);
    assert.equal(vectors.published.hashes.length, 64);
    for (const [n, want] of vectors.published.hashes.entries()) {
      assert.equal(halfSipHash13(key, input.subarray(0, n)), Number.parseInt(want, 16), `length ${n}`);
    }
  });

  it('gives the published vectors at every length that it can take', () => {
    const key = hex(vectors.published.key);
    const input = Uint8Array.from({ length: 64 }, (_, i) => i);
    for (const n of [0, 4, 8, 12, 16, 20]) {
      assert.equal(
        flowHashOfBytes(key, input.slice(0, n)),
        Number.parseInt(vectors.published.hashes[n], 16),
        `length ${n}`,
      );
    }
  });

  it('gives the shared vectors for every layout of the input', () => {
    const layouts = new Set<string>();
    for (const flow of vectors.flows) {
      layouts.add(`${flow.mode} ${flow.family}`);
      const hash = flowHashOfBytes(hex(flow.key), hex(flow.input));
      assert.equal(hash.toString(16).padStart(8, '0'), flow.hash, JSON.stringify(flow));
      assert.equal(slotOf(hash, 65537), flow.slot65537);
    }
    assert.equal(layouts.size, 6);
  });

  it('equals the literal algorithm for any key and input', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        fc.integer({ min: 0, max: 5 }).chain((n) => fc.uint8Array({ minLength: n * 4, maxLength: n * 4 })),
        (key, input) => flowHashOfBytes(key.slice(), input.slice()) === halfSipHash13(key, input),
      ),
      { numRuns: 2000 },
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
