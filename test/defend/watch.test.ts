/** What a node makes of the counters of its engine each second: thresholds, the fleet's clock, attacks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DefendRules } from '#anyhop/config/defend/types.js';
import { L } from '#anyhop/core/layout.gen.js';
import { DefenceWatch, type KeptWatch, type Watched } from '#anyhop/defend/watch.js';
import { keptLog } from './log.js';

const RULES: DefendRules = {
  lists: 'enforce',
  sourceRate: undefined,
  serviceRate: undefined,
  synCookies: { mode: 'enforce', when: 'auto' },
  ownSources: false,
};
const START = Date.parse('2026-01-01T00:00:00Z');

class Bench {
  readonly wanted: { thresholds: ReadonlyMap<number, number>; fleetOffsetMs: number }[] = [];
  readonly lines;
  readonly watch: DefenceWatch;
  services: readonly Watched[] = [{ name: 'web', counter: 1, rules: RULES }];
  guarded: Float64Array = new Float64Array(2 * L.GUARDED_KINDS);
  forwarded = new Float64Array(4);
  cookies = false;
  clocks = { monotonicMs: 5000, wallMs: START };

  constructor(kept: KeptWatch = { norms: {}, attacks: [] }, guarded?: Float64Array) {
    if (guarded !== undefined) this.guarded = guarded;
    const { log, lines } = keptLog();
    this.lines = lines;
    this.watch = new DefenceWatch({
      engine: {
        counters: () => ({ services: this.forwarded.slice() }),
        defence: {
          guarded: () => this.guarded.slice(),
          cookiesActive: () => [false, this.cookies],
          tune: (tuning) => void this.wanted.push(tuning),
        },
      },
      clocks: () => this.clocks,
      kept,
      log,
    });
    this.watch.tick(this.services);
  }

  /** @param counts by L.GUARDED_... */
  seconds(count: number, counts: Readonly<Record<number, number>>, forwarded = 0): void {
    for (let i = 0; i < count; i++) {
      for (const [kind, more] of Object.entries(counts)) this.guarded[L.GUARDED_KINDS + Number(kind)] += more;
      this.forwarded[2] += forwarded;
      this.pass(1000);
      this.watch.tick(this.services);
    }
  }

  pass(ms: number): void {
    this.clocks = { monotonicMs: this.clocks.monotonicMs + ms, wallMs: this.clocks.wallMs + ms };
  }

  get events(): string[] {
    return this.lines.map(({ event }) => event);
  }
}

describe('a node that watches its services', () => {
  it('tells the engine four times their norm as threshold, in the window of the service', () => {
    const bench = new Bench();
    bench.services = [
      {
        name: 'web',
        counter: 1,
        rules: { ...RULES, serviceRate: { mode: 'enforce', syn: 1e6, perMs: 2000 } },
      },
    ];
    bench.seconds(10, { [L.GUARDED_SYNS]: 500 }, 5000);
    assert.equal(bench.watch.of('web')!.synRate, 500);
    assert.equal(bench.watch.of('web')!.norm.perSecond, 500);
    assert.equal(bench.wanted.at(-1)!.thresholds.get(1), 4000);
  });

  it('keeps a norm over a restart, and takes what was counted before it for no flood', () => {
    const before = new Bench();
    before.seconds(700, { [L.GUARDED_SYNS]: 5000 }, 50_000);
    const kept = JSON.parse(JSON.stringify(before.watch.kept)) as KeptWatch;
    const after = new Bench(kept, before.guarded.slice());
    assert.equal(after.wanted[0].thresholds.get(1), 20_000);
    after.seconds(1, { [L.GUARDED_SYNS]: 5000 }, 50_000);
    assert.equal(after.wanted[1].thresholds.get(1), 20_000);
  });

  it('says in which second an attack has begun or ended, for what is kept', () => {
    const bench = new Bench();
    const news: boolean[] = [];
    for (let i = 0; i < 60; i++) {
      bench.cookies = i < 10;
      bench.guarded[L.GUARDED_KINDS + L.GUARDED_SYNS] += bench.cookies ? 60_000 : 0;
      bench.pass(1000);
      news.push(bench.watch.tick(bench.services));
    }
    const said = news.flatMap((isNews, i) => (isNews ? i : []));
    assert.deepEqual(said, [2, 39]);
    assert.deepEqual(bench.events, ['attack_begins', 'attack_ends']);
  });

  it('tells of a flood once, and of its end', () => {
    const bench = new Bench();
    bench.seconds(10, { [L.GUARDED_SYNS]: 100 }, 600);
    bench.cookies = true;
    bench.seconds(60, { [L.GUARDED_SYNS]: 60_000, [L.GUARDED_COOKIES]: 59_900 }, 600);
    assert.deepEqual(bench.events, ['attack_begins']);
    assert.ok(bench.watch.of('web')!.norm.perSecond < 300);
    bench.cookies = false;
    bench.seconds(60, { [L.GUARDED_SYNS]: 100 }, 600);
    assert.deepEqual(bench.events, ['attack_begins', 'attack_ends']);
    const [attack] = bench.watch.attacks();
    assert.deepEqual([attack.kind, attack.peak, attack.packets], ['syn_flood', 60_000, 59_900 * 60]);
  });

  it('tells of blocked sources and of such above their rate, of each on its own', () => {
    const bench = new Bench();
    const sourceRate = {
      mode: 'observe' as const,
      packets: 9,
      syn: undefined,
      perMs: 1000,
      prefix4: 32,
      prefix6: 64,
      network: undefined,
    };
    bench.services = [{ name: 'web', counter: 1, rules: { ...RULES, sourceRate } }];
    bench.seconds(5, { [L.GUARDED_BLOCKED]: 2000, [L.GUARDED_WOULD_SOURCE_RATE]: 150 });
    assert.deepEqual(
      bench.lines.map(({ msg }) => msg),
      [
        'service web: attack begins: sources above source_rate, 150 packets a second; observed only',
        'service web: attack begins: blocked sources, 2k packets a second',
      ],
    );
  });

  it('is not misled by counters that begin anew', () => {
    const bench = new Bench();
    bench.seconds(5, { [L.GUARDED_SYNS]: 5000 }, 50_000);
    bench.guarded = new Float64Array(2 * L.GUARDED_KINDS);
    bench.seconds(1, { [L.GUARDED_SYNS]: 10 });
    assert.equal(bench.watch.of('web')!.norm.perSecond, 5000);
    assert.deepEqual(bench.events, []);
  });

  it('ends the attack of a service that has no rules any more', () => {
    const bench = new Bench();
    bench.cookies = true;
    bench.seconds(5, { [L.GUARDED_SYNS]: 60_000, [L.GUARDED_COOKIES]: 60_000 });
    bench.services = [];
    bench.seconds(1, {});
    assert.deepEqual(bench.events, ['attack_begins', 'attack_ends']);
    assert.equal(bench.watch.of('web'), undefined);
  });

  it("gives the fleet's time, which does not tremble, and says when the clock is set", () => {
    const bench = new Bench();
    const offset = () => bench.wanted.at(-1)!.fleetOffsetMs;
    const first = START - L.FLEET_CLOCK_START * 1000 - 5000;
    assert.equal(offset(), first);
    bench.clocks = { ...bench.clocks, wallMs: bench.clocks.wallMs + 2 };
    bench.seconds(1, {});
    assert.equal(offset(), first);
    bench.clocks = { ...bench.clocks, wallMs: bench.clocks.wallMs + 98 };
    bench.seconds(1, {});
    assert.equal(offset(), first + 100);
    assert.deepEqual(bench.events, []);
    bench.clocks = { ...bench.clocks, wallMs: bench.clocks.wallMs - 60_000 };
    bench.seconds(1, {});
    assert.equal(offset(), first + 100 - 60_000);
    assert.deepEqual(bench.events, ['clock_stepped']);
    assert.match(bench.lines[0].msg, /set backwards by 1m/);
    bench.clocks = { ...bench.clocks, wallMs: 0 };
    bench.seconds(1, {});
    assert.equal(offset(), 0);
  });
});
