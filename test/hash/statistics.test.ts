/** The flow hash stands statistics and attacks, as the yardstick does; hashes that must not stand them do not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seedOfRun } from '../differential/random.js';
import {
  type Checked,
  checkAvalanche,
  checkDifferences,
  checkSignatures,
  checkSlots,
  type Sizes,
} from './checks.js';
import { FLOW_HASH, HALF_SIP, halfSip, MULTILINEAR, MULTILINEAR_FINISHED, type Subject } from './subjects.js';

/** Fewer clients have no two with flows of the same inner state, under some keys of a multilinear hash. */
const SIZES: Sizes = { samples: 8192, keys: 2, bits: 7, clients: 65_536 };
/** For a key under which there are none all the same: one of a thousand. */
const KEYS_TRIED = 3;

describe('a keyed hash of flows', () => {
  const seed = seedOfRun();
  const verdict = (
    check: (subject: Subject, sizes: Sizes, seed: number) => Checked,
    subject: Subject,
    from = seed,
  ) => {
    const { text, isGood } = check(subject, SIZES, from);
    const line = `${subject.name}, seed ${from}: ${text}`;
    console.log(line);
    return { line, isGood };
  };

  for (const subject of [FLOW_HASH, HALF_SIP]) {
    it(`changes each bit of its output every second time: ${subject.name}`, () => {
      const { isGood, line } = verdict(checkAvalanche, subject);
      assert.ok(isGood, line);
    });

    it(`spreads flows over slots as chance does, in whatever order they come: ${subject.name}`, () => {
      const { isGood, line } = verdict(checkSlots, subject);
      assert.ok(isGood, line);
    });

    it(`keeps a backend by no difference between flows: ${subject.name}`, () => {
      const { isGood, line } = verdict(checkDifferences, subject);
      assert.ok(isGood, line);
    });

    it(`shows no equal inner state to who watches backends of neighbours: ${subject.name}`, () => {
      const { isGood, line } = verdict(checkSignatures, subject);
      assert.ok(isGood, line);
    });
  }

  it('fails statistics, and keeps a backend by differences, when it is multilinear', () => {
    for (const check of [checkAvalanche, checkSlots, checkDifferences]) {
      const { isGood, line } = verdict(check, MULTILINEAR);
      assert.ok(!isGood, line);
    }
  });

  it('stands statistics with a strong final step, and shows equal inner states all the same, when it is multilinear', () => {
    for (const check of [checkAvalanche, checkSlots]) {
      const { isGood, line } = verdict(check, MULTILINEAR_FINISHED);
      assert.ok(isGood, line);
    }
    const lines: string[] = [];
    for (let i = 0; i < KEYS_TRIED; i++) {
      const { isGood, line } = verdict(checkSignatures, MULTILINEAR_FINISHED, seed + i);
      if (!isGood) return;
      lines.push(line);
    }
    assert.fail(lines.join('\n'));
  });
});

describe('HalfSipHash-1-3, the yardstick', () => {
  /** Linux lib/tests/siphash_kunit.c, test_vectors_hsiphash of 32-bit builds: of the bytes 0, 1, 2 and so on, key 0 to 7. */
  const PUBLISHED = [0x7e059ea6, 0x577999b1, 0x6b28096c, 0x8b31d501, 0x911bb605];

  it('gives the published vectors', () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 20 }, (_, i) => i));
    const words = Int32Array.from({ length: 5 }, (_, i) => bytes.readInt32LE(i * 4));
    for (const [i, hash] of PUBLISHED.entries())
      assert.equal(halfSip(words[0], words[1], words, i + 1) >>> 0, hash, `${4 * (i + 1)} bytes`);
  });
});
