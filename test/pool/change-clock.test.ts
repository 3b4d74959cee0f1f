/** Clocks that are set, while a node runs and while it does not: what has to settle settles when it truly has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Clocks } from '#anyhop/core/clock.js';
import { hold, type PoolChanges, plan, startChanges } from '#anyhop/pool/change.js';
import { readMemory, writeMemory } from '#anyhop/pool/change-file.js';
import { memoryOf, type PoolMemory } from '#anyhop/pool/membership.js';
import { settlesAtMs } from '#anyhop/pool/open-changes.js';
import { member } from './change-fixture.js';

const SETTLE_MS = 300_000;
const DEADLINE_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Far from 1970: nothing has to be kept from becoming negative. */
const YEAR_2026_MS = 1.77e12;

/** A machine: true time, its wall clock, and the clock of the process that runs on it. */
class Machine {
  #wallMs: number;
  #nowMs: number;

  constructor(wallMs: number) {
    this.#wallMs = wallMs;
    this.#nowMs = wallMs;
  }

  get clocks(): Clocks {
    return { nowMs: this.#nowMs, wallMs: this.#wallMs };
  }

  pass(ms: number): void {
    this.#wallMs += ms;
    this.#nowMs += ms;
  }

  set(byMs: number): void {
    this.#wallMs = Math.max(0, this.#wallMs + byMs);
  }

  startProcess(): void {
    this.#nowMs = this.#wallMs;
  }
}

/** `b` is draining since now, and held. */
function changed({ nowMs }: Clocks): PoolMemory {
  const start = startChanges({ members: [member('a'), member('b')] }, SETTLE_MS, nowMs);
  const drained = plan(start, { members: [member('a'), member('b', { state: 'draining' })] }, nowMs);
  const changes = hold(drained, [{ name: 'b', untilMs: nowMs + DEADLINE_MS }], nowMs);
  return { ...memoryOf(changes), drainingSinceMs: { b: nowMs } };
}

const write = (memory: PoolMemory, now: Clocks): string => writeMemory(new Map([['web', memory]]), now);
const read = (text: string, now: Clocks): PoolMemory => readMemory(text, now).get('web')!;
const leftMs = (changes: PoolChanges, { nowMs }: Clocks): number => settlesAtMs(changes)! - nowMs;

/** What is left to settle, of the hold, and since when it drains: all of them move together. */
function timesOf({ changes, drainingSinceMs }: PoolMemory, now: Clocks): number[] {
  const { b } = drainingSinceMs;
  return [leftMs(changes, now), changes.holds[0].untilMs - now.nowMs, now.nowMs - b];
}

test('a clock that was set while the node ran makes nothing settle sooner or later at the next restart', () => {
  for (const byMs of [10 * MINUTE_MS, -10 * MINUTE_MS]) {
    const machine = new Machine(YEAR_2026_MS);
    machine.pass(1_000);
    machine.set(byMs);
    const memory = changed(machine.clocks);
    machine.pass(1_000);
    const text = write(memory, machine.clocks);
    machine.pass(3_000); // no process runs
    machine.startProcess();
    const restarted = read(text, machine.clocks);
    assert.deepEqual(
      timesOf(restarted, machine.clocks),
      [SETTLE_MS - 4_000, DEADLINE_MS - 4_000, 4_000],
      `${byMs}`,
    );
  }
});

test('a machine that begins anew in 1970 goes on by its memory, and can read what it then writes', () => {
  let memory = changed({ nowMs: YEAR_2026_MS, wallMs: YEAR_2026_MS });
  let text = write(memory, { nowMs: YEAR_2026_MS + 1_000, wallMs: YEAR_2026_MS + 1_000 });
  const machine = new Machine(20);
  for (let restarts = 0; restarts < 3; restarts++) {
    memory = read(text, machine.clocks);
    assert.equal(memory.changes.members[1].state, 'draining');
    const [left, held] = timesOf(memory, machine.clocks);
    assert.ok(left >= SETTLE_MS - 1_150 && left <= SETTLE_MS, `${left} ms are left`);
    assert.ok(held >= DEADLINE_MS - 1_150 && held <= DEADLINE_MS, `it is held for ${held} ms`);
    machine.pass(50);
    text = write(memory, machine.clocks);
    machine.startProcess();
  }
  machine.set(YEAR_2026_MS); // NTP finds it, while it runs
  text = write(memory, machine.clocks);
  machine.startProcess();
  assert.ok(leftMs(read(text, machine.clocks).changes, machine.clocks) >= SETTLE_MS - 1_150);
});

const ms = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
const stepMs = fc.oneof(
  fc.integer({ min: -20 * MINUTE_MS, max: 20 * MINUTE_MS }),
  fc.constantFrom(-1e13, 1e13),
);

test('however clocks are set, what is left to settle shrinks by no more than the time a node ran and the time that the wall clock told', () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('run' as const), ms: ms(40_000) }),
    fc.record({ kind: fc.constant('set' as const), ms: stepMs }),
    fc.record({ kind: fc.constant('save' as const) }),
    fc.record({
      kind: fc.constant('restart' as const),
      ms: ms(40_000),
      setMs: fc.oneof(fc.constant(0), stepMs),
    }),
  );
  const start = fc.constantFrom(0, 7, 1e6, YEAR_2026_MS);
  fc.assert(
    fc.property(start, fc.array(event, { maxLength: 25 }), (wallMs, events) => {
      const machine = new Machine(wallMs);
      let memory = changed(machine.clocks);
      let [saved, text] = [machine.clocks, write(memory, machine.clocks)];
      let spentMs = 0;
      for (const one of events) {
        if (one.kind === 'run') machine.pass(one.ms);
        else if (one.kind === 'set') machine.set(one.ms);
        else if (one.kind === 'save') {
          spentMs += machine.clocks.nowMs - saved.nowMs;
          [saved, text] = [machine.clocks, write(memory, machine.clocks)];
        } else {
          machine.pass(one.ms);
          machine.set(one.setMs);
          machine.startProcess();
          spentMs += Math.max(0, machine.clocks.wallMs - saved.wallMs);
          memory = read(text, machine.clocks);
          assert.ok(leftMs(memory.changes, machine.clocks) >= SETTLE_MS - spentMs);
          assert.ok(memory.changes.nowMs <= machine.clocks.nowMs, 'a time that is yet to come');
          [saved, text] = [machine.clocks, write(memory, machine.clocks)];
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test('where clocks are set only while a node runs that keeps its state at its end, all settles when it truly has', () => {
  const run = fc.record({
    parts: fc.array(fc.record({ ms: ms(10_000), setMs: fc.integer({ min: -1e7, max: 1e7 }) }), {
      maxLength: 4,
    }),
    awayMs: ms(10_000),
  });
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: 6 }), (runs) => {
      const machine = new Machine(YEAR_2026_MS);
      let memory = changed(machine.clocks);
      let passedMs = 0;
      for (const { parts, awayMs } of runs) {
        for (const part of parts) {
          machine.pass(part.ms);
          machine.set(part.setMs);
          passedMs += part.ms;
        }
        const text = write(memory, machine.clocks);
        machine.pass(awayMs);
        passedMs += awayMs;
        machine.startProcess();
        memory = read(text, machine.clocks);
        assert.deepEqual(timesOf(memory, machine.clocks), [
          SETTLE_MS - passedMs,
          DEADLINE_MS - passedMs,
          passedMs,
        ]);
      }
    }),
    { numRuns: 500 },
  );
});
