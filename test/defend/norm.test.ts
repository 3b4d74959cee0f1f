/** The norm of a service's SYNs: what is usual, learnt from real clients, and not from a flood. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NORM_MS, Norm } from '#anyhop/defend/norm.js';

/** Seconds of real clients, who send five packets beside each SYN, and of spoofed SYNs, beside which nothing comes. */
function run(norm: Norm, seconds: number, { real = 0, spoofed = 0, beside = 5 }): void {
  for (let i = 0; i < seconds; i++) {
    const syns = real + spoofed;
    norm.take({ ms: 1000, syns, others: real * beside, cookies: syns > norm.threshold });
  }
}

const learnt = (perSecond: number): Norm => new Norm({ perSecond, learntMs: NORM_MS });

describe('the norm of a service', () => {
  it('is what its clients do, from the first second on', () => {
    const norm = new Norm();
    run(norm, 1, { real: 3000 });
    assert.equal(norm.perSecond, 3000);
    assert.equal(norm.threshold, 12_000);
  });

  it('never makes a threshold below 1000 a second', () => {
    assert.equal(new Norm().threshold, 1000);
    assert.equal(learnt(100).threshold, 1000);
    assert.equal(learnt(300).threshold, 1200);
  });

  it('follows another rate in ten minutes or so: 63 % of the way', () => {
    const norm = learnt(1000);
    run(norm, 600, { real: 2000 });
    assert.ok(Math.abs(norm.perSecond - 1632) < 5, String(norm.perSecond));
  });

  it('does not take a flood for usual, however long it lasts, nor right after the first start', () => {
    for (const norm of [learnt(100), new Norm()]) {
      run(norm, 5, { real: 100 });
      run(norm, 6 * 3600, { real: 100, spoofed: 60_000 });
      assert.ok(norm.threshold < 1500, String(norm.threshold));
    }
  });

  it('does not take one for usual in half an hour that hides behind as many other packets', () => {
    const norm = learnt(100);
    run(norm, 1800, { real: 60_000 });
    assert.ok(norm.threshold < 60_000, String(norm.threshold));
  });

  it('takes clients who came to stay for usual in the end', () => {
    const norm = learnt(100);
    run(norm, 2 * 3600, { real: 20_000 });
    assert.ok(norm.threshold > 20_000, String(norm.threshold));
  });

  it('does not rise by checks that send a SYN and take it back', () => {
    const norm = new Norm();
    run(norm, 600, { real: 4000, beside: 1 });
    assert.equal(norm.perSecond, 2000);
  });

  it('goes on from what was kept', () => {
    const norm = learnt(500);
    run(norm, 60, { real: 700 });
    const kept = JSON.parse(JSON.stringify(norm.kept));
    assert.equal(new Norm(kept).threshold, norm.threshold);
    assert.deepEqual(new Norm(kept).kept, norm.kept);
  });

  it('stands still when no time has passed', () => {
    const norm = learnt(500);
    norm.take({ ms: 0, syns: 1e6, others: 1e7, cookies: false });
    assert.equal(norm.perSecond, 500);
  });
});
