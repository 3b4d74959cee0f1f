/** When an attack begins and ends: told once each, with figures. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Attacks, type KeptAttack, type Level } from '#anyhop/defend/attacks.js';
import { keptLog } from './log.js';

const START = Date.parse('2026-01-01T00:00:00Z');

class Bench {
  nowMs = START;
  readonly #kept = keptLog();
  readonly attacks: Attacks;

  constructor(kept: readonly KeptAttack[] = []) {
    this.attacks = new Attacks(this.#kept.log, kept, START);
  }

  seconds(count: number, level: Level, rate: number, mode: 'observe' | 'enforce' = 'enforce'): void {
    for (let i = 0; i < count; i++) {
      this.nowMs += 1000;
      this.attacks.take(
        {
          service: 'web',
          kind: 'syn_flood',
          mode,
          level,
          rate,
          packets: rate,
          context: () => '110 are usual',
        },
        this.nowMs,
      );
    }
  }

  get said(): string[] {
    return this.#kept.lines.map(({ event, msg }) => `${event}: ${msg}`);
  }
}

describe('an attack', () => {
  it('is told when it begins and when it ends, once each, with its figures', () => {
    const bench = new Bench();
    bench.seconds(60, 'much', 60_000);
    bench.seconds(60, 'much', 64_000);
    assert.deepEqual(bench.said, [
      'attack_begins: service web: attack begins: SYN flood, 60k SYNs a second, 110 are usual',
    ]);
    bench.seconds(300, 'little', 0);
    assert.equal(
      bench.said[1],
      'attack_ends: service web: attack has ended after 119s: SYN flood, 64k SYNs a second at most, ' +
        '7.44M packets answered with cookies or dropped',
    );
    assert.equal(bench.said.length, 2);
  });

  it('is none in a single bad second', () => {
    const bench = new Bench();
    for (let i = 0; i < 20; i++) {
      bench.seconds(2, 'much', 5000);
      bench.seconds(1, 'some', 500);
    }
    assert.deepEqual(bench.said, []);
    assert.deepEqual(bench.attacks.status(bench.nowMs), []);
  });

  it('goes on through pauses of less than half a minute', () => {
    const bench = new Bench();
    for (let i = 0; i < 20; i++) {
      bench.seconds(5, 'much', 5000);
      bench.seconds(25, 'little', 0);
    }
    assert.equal(bench.said.length, 1);
    const [status] = bench.attacks.status(bench.nowMs);
    assert.equal(status.until, undefined);
    assert.equal(status.peak, 5000);
  });

  it('says when nothing was done about it', () => {
    const bench = new Bench();
    bench.seconds(10, 'much', 500, 'observe');
    bench.seconds(40, 'little', 0, 'observe');
    assert.match(bench.said[0], /500 SYNs a second, 110 are usual; observed only$/);
    assert.match(bench.said[1], /would have been answered with cookies or dropped$/);
  });

  it('says so when the rule only counted at first', () => {
    const bench = new Bench();
    bench.seconds(10, 'much', 5000, 'observe');
    bench.seconds(10, 'much', 5000);
    bench.seconds(60, 'little', 0);
    assert.match(
      bench.said[1],
      /100k packets answered with cookies or dropped, or only counted while the rule was in mode observe$/,
    );
  });

  it('is told of for an hour, the newest first', () => {
    const bench = new Bench();
    bench.seconds(10, 'much', 1000);
    bench.seconds(60, 'little', 0);
    bench.seconds(10, 'much', 2000);
    const peaks = () =>
      bench.attacks.status(bench.nowMs).map(({ peak, until }) => [peak, until !== undefined]);
    assert.deepEqual(peaks(), [
      [2000, false],
      [1000, true],
    ]);
    bench.nowMs += 3_600_000;
    assert.deepEqual(peaks(), [[2000, false]]);
  });

  it('outlives the process without being told anew', () => {
    const before = new Bench();
    before.seconds(10, 'much', 1000);
    const after = new Bench(JSON.parse(JSON.stringify(before.attacks.kept)));
    after.seconds(10, 'much', 900);
    assert.deepEqual(after.said, []);
    const [{ since, peak, packets }] = after.attacks.status(after.nowMs);
    assert.deepEqual([Date.parse(since) <= START + 10_000, peak, packets], [true, 1000, 19_000]);
    after.seconds(40, 'little', 0);
    assert.match(after.said[0], /^attack_ends/);
  });

  it('ends with the rule that saw it', () => {
    const bench = new Bench();
    bench.seconds(10, 'much', 1000);
    bench.attacks.keep(() => false);
    assert.match(bench.said[1], /^attack_ends/);
  });

  it('neither ends nor lasts for good when the clock is set', () => {
    const bench = new Bench();
    bench.seconds(10, 'much', 1000);
    bench.nowMs -= 86_400_000;
    bench.seconds(5, 'much', 1000);
    assert.equal(bench.said.length, 1);
    bench.seconds(40, 'little', 0);
    assert.match(bench.said[1], /^attack_ends/);
  });
});
