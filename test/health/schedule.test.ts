/** The schedule under a simulated clock: what is promised of it, for many checks, odd clocks and stalls. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DueQueue } from '#anyhop/health/due-queue.js';
import { Schedule } from '#anyhop/health/schedule.js';

/** Deterministic and even enough: xorshift32, 0 to below 1. */
function randomOf(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

interface Start {
  readonly check: number;
  readonly atMs: number;
}

/** Lets the clock run in steps, and takes whatever is due after each. */
function run(schedule: Schedule, fromMs: number, steps: readonly number[]): Start[] {
  const starts: Start[] = [];
  let nowMs = fromMs;
  for (const step of steps) {
    nowMs += step;
    for (let check = schedule.take(nowMs); check >= 0; check = schedule.take(nowMs))
      starts.push({ check, atMs: nowMs });
  }
  return starts;
}

const steps = (durationMs: number, stepMs: number) =>
  new Array<number>(Math.round(durationMs / stepMs)).fill(stepMs);
const busiest = (starts: readonly Start[], windowMs: number): number => {
  const counts = new Map<number, number>();
  for (const { atMs } of starts) {
    const window = Math.floor(atMs / windowMs);
    counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return Math.max(...counts.values());
};

describe('a queue of what is due', () => {
  it('gives elements in the order of their times, whatever was set, moved and removed', () => {
    const command = fc.tuple(fc.nat(15), fc.option(fc.nat(1000), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(command, { maxLength: 100 }), fc.nat(1000), (commands, nowMs) => {
        const queue = new DueQueue();
        const model = new Map<number, number>();
        for (const [element, timeMs] of commands) {
          if (timeMs === undefined) {
            queue.remove(element);
            model.delete(element);
          } else {
            queue.set(element, timeMs);
            model.set(element, timeMs);
          }
          assert.equal(queue.size, model.size);
          assert.equal(queue.nextMs, Math.min(...model.values()));
        }
        const taken: number[] = [];
        for (let each = queue.take(nowMs); each >= 0; each = queue.take(nowMs)) taken.push(each);
        const due = [...model].filter(([, timeMs]) => timeMs <= nowMs);
        assert.deepEqual(taken.toSorted(), due.map(([element]) => element).toSorted());
        const times = taken.map((element) => model.get(element)!);
        assert.deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        );
      }),
    );
  });
});

describe('a schedule', () => {
  const timing = fc.record({
    intervalMs: fc.integer({ min: 100, max: 5000 }),
    jitter: fc.double({ min: 0, max: 0.5, noNaN: true }),
  });

  it('starts every check once a turn, without drift, and never closer than the interval less its jitter', () => {
    fc.assert(
      fc.property(timing, fc.integer({ min: 1, max: 50 }), fc.integer(), (each, count, seed) => {
        const schedule = new Schedule(randomOf(seed));
        for (let check = 0; check < count; check++) schedule.add(check, each, 0);
        const TURNS = 12;
        const starts = run(schedule, 0, steps(each.intervalMs * TURNS, each.intervalMs / 100));
        for (let check = 0; check < count; check++) {
          const times = starts.filter((start) => start.check === check).map(({ atMs }) => atMs);
          // The first round; then one a turn, of which the last may be beyond the end.
          assert.ok(
            times.length === TURNS || times.length === TURNS - 1 || times.length === TURNS + 1,
            `${times}`,
          );
          const tick = each.intervalMs / 100;
          for (const [index, atMs] of times.entries()) {
            if (index === 0) assert.ok(atMs <= each.intervalMs + tick);
            else assert.ok(atMs - times[index - 1] >= each.intervalMs * (1 - each.jitter) - tick * 1.01);
          }
          // No drift: the last is as many intervals after the second as there are turns between, but for the jitter.
          const turns = (times.at(-1)! - times[1]) / each.intervalMs;
          assert.ok(
            Math.abs(turns - (times.length - 2)) <= each.jitter + 0.02,
            `${turns} of ${times.length - 2}`,
          );
        }
      }),
      { numRuns: 50 },
    );
  });

  it('spreads thousands of checks: in no hundredth of the interval do twice as many start as would evenly', () => {
    for (const jitter of [0, 0.1, 0.5]) {
      const schedule = new Schedule(randomOf(7));
      for (let check = 0; check < 5000; check++) schedule.add(check, { intervalMs: 1000, jitter }, 0);
      const starts = run(schedule, 0, steps(6000, 1));
      assert.ok(starts.length >= 5000 * 4.9, `${starts.length} started`);
      assert.ok(busiest(starts, 10) <= 100, `jitter ${jitter}: ${busiest(starts, 10)} in 10 ms, evenly 50`);
    }
  });

  it('stays spread when most checks are taken out again', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), (keepEach) => {
        const schedule = new Schedule(() => 0);
        for (let check = 0; check < 3000; check++) schedule.add(check, { intervalMs: 1000, jitter: 0 }, 0);
        for (let check = 0; check < 3000; check++) if (check % keepEach !== 0) schedule.remove(check);
        const starts = run(schedule, 0, steps(5000, 1)).filter(({ atMs }) => atMs > 1000);
        const evenly = 3000 / keepEach / 10;
        assert.ok(busiest(starts, 100) <= 1.5 * evenly, `${busiest(starts, 100)}, evenly ${evenly}`);
        assert.ok(starts.every(({ check }) => check % keepEach === 0));
      }),
    );
  });

  it('starts the first round at once: a few within milliseconds, a thousand within a second', () => {
    for (const [count, withinMs] of [
      [10, 10],
      [1000, 1000],
    ]) {
      const schedule = new Schedule();
      for (let check = 0; check < count; check++) schedule.add(check, { intervalMs: 60_000, jitter: 0.1 }, 0);
      const starts = run(schedule, 0, steps(withinMs, 1));
      assert.equal(new Set(starts.map(({ check }) => check)).size, count);
      assert.ok(busiest(starts, 10) <= 11);
    }
  });

  it('makes no storm of the starts that a stall has held up', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 20_000 }), fc.integer(), (stallMs, seed) => {
        const COUNT = 1000;
        const schedule = new Schedule(randomOf(seed));
        for (let check = 0; check < COUNT; check++) schedule.add(check, { intervalMs: 1000, jitter: 0.1 }, 0);
        run(schedule, 0, steps(2500, 1));
        const starts = run(schedule, 2500, [stallMs, ...steps(1500, 1)]);
        assert.ok(busiest(starts, 10) <= COUNT / 8 + 50, `${busiest(starts, 10)} at once`);
        // Within an interval and its jitter everyone has had a turn.
        assert.equal(new Set(starts.map(({ check }) => check)).size, COUNT);
      }),
      { numRuns: 20 },
    );
  });

  it('leaves nobody out for ever when it is asked too late each time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 130, max: 5000 }), fc.integer(), (stepMs, seed) => {
        const schedule = new Schedule(randomOf(seed));
        for (let check = 0; check < 100; check++) schedule.add(check, { intervalMs: 1000, jitter: 0.1 }, 0);
        run(schedule, 0, [2000]);
        // Left out six times in a row, a start may come eight intervals late, and none is later.
        const starts = run(schedule, 2000, steps(7 * (1100 + stepMs), stepMs));
        assert.equal(new Set(starts.map(({ check }) => check)).size, 100);
      }),
    );
  });

  it('leaves out no first turn, however late it comes', () => {
    const schedule = new Schedule();
    for (let check = 0; check < 100; check++) schedule.add(check, { intervalMs: 100, jitter: 0 }, 0);
    assert.equal(new Set(run(schedule, 0, [90_000]).map(({ check }) => check)).size, 100);
  });
});
