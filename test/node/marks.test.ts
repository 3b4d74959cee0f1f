/** How a backend stands, under a simulated clock: any order of next hops coming and going, results, and time. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { CheckResult } from '#anyhop/health/combine.js';
import { marksToTell, nextDeadAtMs, standingBy, whyBy } from '#anyhop/node/marks.js';
import { type Membership, NO_POOLS, take, takeMarks } from '#anyhop/pool/membership.js';
import { parse } from '../config/fixture.js';

const DEAD_AFTER_MS = 10_000;
const POOLS = parse(
  'pools: {web: {dead_after: 10s, health: {kind: tcp, port: 80}, backends: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2}]}}\n',
  'pools',
).pools;
const [pool] = POOLS;
const NAMES = ['a', 'b'] as const;
const GOOD: CheckResult = { isUp: true, reason: 'the check is good' };

type Event =
  | { readonly kind: 'way' | 'check'; readonly name: 'a' | 'b'; readonly isUp: boolean }
  | { readonly kind: 'time'; readonly ms: number };

const name = fc.constantFrom(...NAMES);
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constantFrom<'way' | 'check'>('way', 'check'), name, isUp: fc.boolean() }),
  fc.record({ kind: fc.constant<'time'>('time'), ms: fc.integer({ min: 0, max: 15_000 }) }),
);

describe('marks', () => {
  it('are up with a way and a good check, and dead once down for dead_after without a break', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const ways = new Map<string, boolean>();
        const checks = new Map(NAMES.map((each): [string, CheckResult] => [`web/${each}`, GOOD]));
        const since = new Map<string, number>(NAMES.map((each) => [each, 0]));
        let nowMs = 0;
        const isUp = (each: string) => ways.get(each) !== false && checks.get(`web/${each}`)?.isUp !== false;
        const noWay = (backend: { name: string }) =>
          ways.get(backend.name) === false ? 'no route' : undefined;
        const why = whyBy(noWay, checks);
        const isReachable = (_: unknown, { name: each }: { name: string }) => ways.get(each) !== false;
        const standing = () => standingBy(why, isReachable, nowMs);
        let pools: Membership = take(NO_POOLS, POOLS, { force: false, nowMs, standing: standing() });
        for (const each of events) {
          const before = new Map(NAMES.map((member) => [member, isUp(member)]));
          if (each.kind === 'time') nowMs += each.ms;
          else if (each.kind === 'way') ways.set(each.name, each.isUp);
          else checks.set(`web/${each.name}`, { isUp: each.isUp, reason: 'refused' });
          pools = takeMarks(pools, standing(), nowMs);
          const web = pools.get('web')!;
          const marks = marksToTell(web, web.changes.marks, why);
          const left: number[] = [];
          for (const backend of pool.backends) {
            const member = backend.name as 'a' | 'b';
            if (isUp(member) !== before.get(member)) since.set(member, nowMs);
            const mark = marks.get(backend.name)!;
            const downMs = nowMs - since.get(member)!;
            const expected = isUp(member) ? 'up' : downMs >= DEAD_AFTER_MS ? 'dead' : 'down';
            assert.equal(mark.health, expected);
            const kept = web.changes.marks.find((one) => one.name === member)!;
            assert.equal(kept.unreachable, ways.get(member) === false ? true : undefined);
            assert.equal(mark.since.getTime(), since.get(member));
            const reason = ways.get(member) === false ? 'no route' : 'refused';
            assert.equal(mark.reason, isUp(member) ? undefined : reason);
            if (expected === 'down') left.push(since.get(member)! + DEAD_AFTER_MS);
          }
          assert.equal(nextDeadAtMs(pools), left.length === 0 ? undefined : Math.min(...left));
        }
      }),
    );
  });

  it('are down before the first result where there are checks, and up at once where there are none', () => {
    const unchecked = { ...pool, health: [] };
    const checks = new Map([['web/a', GOOD]]);
    for (const [each, expected] of [
      [pool, ['up', 'down']],
      [unchecked, ['up', 'up']],
    ] as const) {
      const standing = standingBy(
        whyBy(() => undefined, checks),
        () => true,
        0,
      );
      const { changes } = take(NO_POOLS, [each], { force: false, nowMs: 0, standing }).get('web')!;
      assert.deepEqual(
        changes.marks.map(({ health }) => health),
        expected,
      );
    }
  });
});
