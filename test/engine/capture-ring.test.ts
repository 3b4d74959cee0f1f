/** Records between two threads: what is taken is what was written, whole and in order, and what found no room is counted. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RecordRing } from '#anyhop/engine/capture/ring.js';

const SIZE = 256;

/** A record of so many bytes: its length, then its number over and over. */
function put(ring: RecordRing, length: number, number: number): boolean {
  const at = ring.reserve(length);
  if (at < 0) return false;
  ring.bytes.fill(number, at, at + length);
  ring.view.setUint32(at, length, true);
  ring.commit(length);
  return true;
}

/** The numbers of the records in these bytes. */
function numbersIn(bytes: Uint8Array): number[] {
  const numbers: number[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at, true);
    const body = bytes.subarray(at + 4, at + length);
    assert.ok(body.length === length - 4 && body.every((byte) => byte === body[0]), 'a whole record');
    numbers.push(body[0]);
    at += length;
  }
  return numbers;
}

type Step = { readonly put: number } | { readonly take: number };

describe('a ring of records', () => {
  it('gives back what was written, whole and in order, and counts the rest', () => {
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.integer({ min: 1, max: 16 }).map((words) => ({ put: words * 8 })),
      fc.integer({ min: 0, max: 300 }).map((take) => ({ take })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const ring = new RecordRing(RecordRing.memory(SIZE));
        const written: number[] = [];
        const taken: number[] = [];
        let lost = 0;
        for (const [i, each] of steps.entries()) {
          if ('take' in each) taken.push(...numbersIn(ring.take(each.take)));
          else if (put(ring, each.put, i & 255)) written.push(i & 255);
          else lost++;
        }
        for (let rest = ring.take(SIZE); rest.length > 0; rest = ring.take(SIZE))
          taken.push(...numbersIn(rest));
        assert.deepEqual(taken, written);
        assert.equal(ring.lost, lost);
      }),
      { numRuns: 500 },
    );
  });

  it('takes no more than it is asked for, but one record always', () => {
    const ring = new RecordRing(RecordRing.memory(SIZE));
    for (let i = 1; i <= 3; i++) put(ring, 64, i);
    assert.deepEqual(numbersIn(ring.take(130)), [1, 2]);
    assert.deepEqual(numbersIn(ring.take(8)), [3]);
    assert.equal(ring.take(8).length, 0);
  });

  it('counts on where its positions wrap', () => {
    const memory = RecordRing.memory(SIZE);
    new Int32Array(memory)[0] = -64;
    new Int32Array(memory)[16] = -64;
    const ring = new RecordRing(memory);
    for (let i = 1; i < 100; i++) {
      assert.ok(put(ring, 40, i));
      assert.deepEqual(numbersIn(ring.take(SIZE)), [i]);
    }
    assert.equal(ring.lost, 0);
  });
});
