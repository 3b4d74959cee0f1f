/** Servers that fail requests in a row, by HAProxy's counters. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ServerStat } from '#anyhop/l7/haproxy/stats.js';
import { forgiven, look, type Seen } from '#anyhop/l7/passive.js';

const stat = (good: number, failed: number, retried: number, redispatched = retried): ServerStat =>
  ({
    responses: { '1xx': 0, '2xx': good, '3xx': 0, '4xx': 0, '5xx': failed, other: 0 },
    retries: retried,
    redispatches: redispatched,
  }) as unknown as ServerStat;

const after = (...counts: readonly (readonly [number, number, number])[]): Seen =>
  counts.reduce<Seen | undefined>((seen, count) => look(seen, stat(...count)), undefined)!;

describe('failures in a row', () => {
  it('are answers of 5xx and requests that another server got instead', () => {
    assert.equal(after([5, 0, 0], [5, 3, 0], [5, 3, 7]).streak, 10);
  });

  it('are connections that the server refuses, which HAProxy counts as redispatches alone', () => {
    assert.equal(look(look(undefined, stat(5, 0, 0)), stat(5, 0, 0, 8)).streak, 8);
    assert.equal(look(look(undefined, stat(5, 0, 0)), stat(5, 0, 8, 0)).streak, 8);
  });

  it('end with a good answer', () => {
    assert.equal(after([5, 0, 0], [5, 9, 0], [6, 9, 0]).streak, 0);
  });

  it('count from the first look, and anew after a reload or when the server was taken out', () => {
    assert.equal(after([0, 90, 0]).streak, 0);
    assert.equal(after([5, 0, 0], [5, 9, 0], [0, 1, 0]).streak, 0);
    assert.equal(look(forgiven(after([5, 0, 0], [5, 9, 0])), stat(5, 10, 0)).streak, 1);
  });

  it('are never more than failed since the last look with a good answer', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)), { minLength: 1 }), (steps) => {
        let total: [number, number, number] = [0, 0, 0];
        let bad = 0;
        let seen: Seen | undefined;
        for (const [i, step] of steps.entries()) {
          total = [total[0] + step[0], total[1] + step[1], total[2] + step[2]];
          bad = i === 0 || step[0] > 0 ? 0 : bad + step[1] + step[2];
          seen = look(seen, stat(...total));
          assert.equal(seen.streak, bad);
        }
      }),
    );
  });
});
