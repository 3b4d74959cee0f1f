/** The sketch that counts what sources send, and its counts over a sliding window (native/include/anyhop/sketch.h). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import {
  countPlus,
  countSliding,
  firstCell,
  leftAt,
  PACKETS_WORD,
  pairRaise,
  pairSliding,
  secondCell,
  windowAt,
} from '#anyhop/forward/sketch.js';
import { Random, seedOfRun } from '../differential/random.js';

/** A sketch with a clock of its own. */
class Sketch {
  readonly words = new Int32Array(L.SIZEOF_SKETCH / 4);
  readonly reciprocal: number;
  now = 0;

  constructor(window: number) {
    this.reciprocal = Math.floor(2 ** 32 / window);
  }

  /** What it says that a source has sent in the time of a window. */
  estimate(hash: number): number {
    const [first, second] = this.#cells(hash);
    return pairSliding(
      this.words,
      first,
      second,
      windowAt(this.now, this.reciprocal),
      leftAt(this.now, this.reciprocal),
    );
  }

  send(hash: number, limit: number): boolean {
    if (this.estimate(hash) >= limit) return false;
    pairRaise(this.words, ...this.#cells(hash), windowAt(this.now, this.reciprocal));
    return true;
  }

  #cells(hash: number): [number, number] {
    return [firstCell(0, hash) + PACKETS_WORD, secondCell(0, hash) + PACKETS_WORD];
  }
}

describe('the sketch', () => {
  const seed = seedOfRun();

  it('never says less than what a source was let through, whoever else sends, however time passes', () => {
    const random = new Random(seed);
    const window = 100;
    const sketch = new Sketch(window);
    // All in a few cells, so that they share nearly all of them.
    const sources = Array.from({ length: 300 }, () => random.below(16) | (random.below(16) << 16));
    const sent = new Map<number, number[]>(); // by source, the times
    for (let i = 0; i < 60_000; i++) {
      if (random.below(40) === 0) sketch.now += random.below(60);
      const hash = random.pick(sources);
      const admitted = sketch.send(hash, 1 + random.below(60));
      const times = sent.get(hash) ?? [];
      sent.set(hash, times);
      if (admitted) times.push(sketch.now);
      // Of the present window all, of the former one the share that is left of this one: by the sliding count's own measure.
      const number = windowAt(sketch.now, sketch.reciprocal);
      const left = leftAt(sketch.now, sketch.reciprocal);
      const present = times.filter((time) => windowAt(time, sketch.reciprocal) === number).length;
      const former = times.filter((time) => windowAt(time, sketch.reciprocal) === number - 1).length;
      const own = present + Math.floor((former * left) / 65536);
      assert.ok(sketch.estimate(hash) >= own, `packet ${i}: less than ${own}; seed ${seed}`);
      if (times.length > 200) times.splice(0, 100);
    }
  });

  it('lets a source that keeps sending have its limit in each window, and no more than half as much again at an edge', () => {
    const window = 1000;
    const sketch = new Sketch(window);
    const [hash, limit] = [0x1234_5678, 100];
    const admittedAt: number[] = [];
    for (sketch.now = 0; sketch.now < 20 * window; sketch.now++)
      for (let i = 0; i < 3; i++) if (sketch.send(hash, limit)) admittedAt.push(sketch.now);
    const perWindow = admittedAt.length / 20;
    assert.ok(perWindow > limit * 0.9 && perWindow <= limit * 1.05, `${perWindow} a window`);
    for (let start = 0; start < 19 * window; start += 50) {
      const within = admittedAt.filter((time) => time >= start && time < start + window).length;
      assert.ok(within <= limit * 1.5, `${within} from ${start} on`);
    }
  });

  it('limits a source that stays below its limit by chance alone, as often as computed', () => {
    const random = new Random(seed);
    const heavy = 3000;
    const limit = 10;
    const sketch = new Sketch(1000);
    for (let i = 0; i < heavy; i++) {
      const hash = random.below(2 ** 32);
      for (let sent = 0; sent <= limit; sent++) sketch.send(hash, limit);
    }
    const tries = 200_000;
    let limited = 0;
    for (let i = 0; i < tries; i++) if (sketch.estimate(random.below(2 ** 32)) >= limit) limited++;
    const expected = (1 - (1 - 1 / L.SKETCH_WIDTH) ** heavy) ** 2;
    // Five standard deviations of as many tries, and of the cells that are taken.
    const spread = 5 * Math.sqrt(expected / tries) + expected * 0.1;
    assert.ok(
      Math.abs(limited / tries - expected) < spread,
      `${limited / tries} instead of ${expected}; seed ${seed}`,
    );
  });

  it('takes 2 MiB', () => {
    assert.equal(L.SIZEOF_SKETCH, 2 ** 21);
  });
});

describe('a sliding count', () => {
  const RECIPROCAL = Math.floor(2 ** 32 / 1000);
  const at = (now: number): [number, number] => [windowAt(now, RECIPROCAL), leftAt(now, RECIPROCAL)];

  it('weighs the former window by what is left of the present one, and forgets all after two', () => {
    const words = new Int32Array(2);
    countPlus(words, 0, windowAt(1500, RECIPROCAL), 100);
    const said = [1500, 1999, 2010, 2250, 2500, 2990, 3010, 9000].map((now) =>
      countSliding(words, 0, ...at(now)),
    );
    assert.deepEqual(said, [100, 100, 99, 75, 50, 1, 0, 0]);
  });

  it('counts as unused when the clock has jumped back or far ahead, and never beyond its bits', () => {
    const words = new Int32Array(2);
    countPlus(words, 0, windowAt(5_000_000, RECIPROCAL), 7);
    assert.equal(countSliding(words, 0, ...at(1000)), 0);
    assert.equal(countSliding(words, 0, ...at(0xffff_ff00)), 0);
    countPlus(words, 0, 77, L.COUNT_MAX);
    countPlus(words, 0, 77, 5);
    assert.equal(countSliding(words, 0, 77, 1), L.COUNT_MAX);
  });
});
