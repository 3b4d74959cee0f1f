/** The stages of a proxy host's drain: which follows which, whatever comes in between. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { AgentReport } from '#anyhop/agent/report.js';
import { FORWARDER_REMEMBERED_MS } from '#anyhop/core/limits.js';
import { type DrainFacts, type Forwarders, nextStage, type Stage, UNFOLLOWED_MS } from '#anyhop/l7/drain.js';
import { KnownForwarders, type Reports } from '#anyhop/l7/forwarders.js';

const DEADLINE_MS = 1000;
const QUIET: DrainFacts = {
  nowMs: 0,
  askedAtMs: undefined,
  deadlineMs: DEADLINE_MS,
  forwarders: 'some',
  begun: true,
  isTakenBack: false,
  isHaproxyRunning: true,
};
const ASKED = { ...QUIET, askedAtMs: 0 };
const OFF = { ...QUIET, isHaproxyRunning: false };

describe('a proxy host', () => {
  it('tells the forwarders before HAProxy closes anything', () => {
    assert.deepEqual(nextStage('serving', ASKED), { stage: 'following' });
    assert.deepEqual(nextStage('following', ASKED), { stage: 'following' });
    assert.deepEqual(nextStage('following', { ...ASKED, forwarders: 'all' }), {
      stage: 'closing',
      because: 'forwarders',
    });
  });

  it('lets health checks fail at the deadline when a forwarder has not followed, and closes a little later', () => {
    for (const forwarders of ['some', 'unknown'] as const) {
      const facts = { ...ASKED, forwarders };
      assert.equal(nextStage('following', { ...facts, nowMs: DEADLINE_MS - 1 }).stage, 'following');
      assert.deepEqual(nextStage('following', { ...facts, nowMs: DEADLINE_MS }), { stage: 'unfollowed' });
      const end = DEADLINE_MS + UNFOLLOWED_MS;
      assert.equal(nextStage('unfollowed', { ...facts, nowMs: end - 1 }).stage, 'unfollowed');
      assert.deepEqual(nextStage('unfollowed', { ...facts, nowMs: end }), {
        stage: 'closing',
        because: 'deadline',
      });
    }
    const late = { ...ASKED, nowMs: DEADLINE_MS + 1 };
    assert.equal(nextStage('unfollowed', { ...late, forwarders: 'all' }).because, 'forwarders');
    assert.equal(nextStage('unfollowed', { ...late, askedAtMs: undefined }).stage, 'serving');
  });

  it('waits for nobody when it is no backend', () => {
    assert.deepEqual(nextStage('following', { ...ASKED, forwarders: 'none' }), {
      stage: 'closing',
      because: 'nobody',
    });
  });

  it('closes by itself when all forwarders begin to drain it, and serves again when one no longer does', () => {
    const all = { ...QUIET, forwarders: 'all' } as const;
    assert.deepEqual(nextStage('serving', all), { stage: 'closing', because: 'forwarders' });
    assert.equal(nextStage('closing', all).stage, 'closing');
    assert.equal(nextStage('closing', { ...all, isHaproxyRunning: false }).stage, 'drained');
    assert.equal(nextStage('drained', { ...OFF, forwarders: 'all' }).stage, 'drained');
    assert.equal(nextStage('drained', OFF).stage, 'serving');
  });

  it('serves on when all forwarders drained it before it started: it was told to serve', () => {
    assert.equal(nextStage('serving', { ...QUIET, forwarders: 'all', begun: false }).stage, 'serving');
  });

  it('stays drained while its agent does not answer or hears no forwarder', () => {
    assert.equal(nextStage('drained', { ...OFF, forwarders: 'unknown' }).stage, 'drained');
  });

  it('starts HAProxy before the forwarders send again, when it asked itself and does no longer', () => {
    const facts = { ...OFF, forwarders: 'all', isTakenBack: true } as const;
    assert.equal(nextStage('drained', facts).stage, 'serving');
    assert.equal(nextStage('drained', { ...facts, askedAtMs: 0 }).stage, 'drained');
  });

  it('never starts HAProxy while somebody asks for the drain, and never ends it while nobody drains', () => {
    const stage = fc.constantFrom<Stage>('serving', 'following', 'unfollowed', 'closing', 'drained');
    const facts = fc.record({
      nowMs: fc.nat(20_000),
      askedAtMs: fc.option(fc.nat(3000), { nil: undefined }),
      deadlineMs: fc.constant(DEADLINE_MS),
      forwarders: fc.constantFrom<Forwarders>('all', 'some', 'unknown', 'none'),
      begun: fc.boolean(),
      isTakenBack: fc.boolean(),
      isHaproxyRunning: fc.boolean(),
    });
    fc.assert(
      fc.property(stage, facts, (from, now) => {
        const { stage: to } = nextStage(from, now);
        if (from === 'drained' && to === 'serving') assert.equal(now.askedAtMs, undefined);
        if (to === 'closing' && from !== 'closing')
          assert.ok(now.askedAtMs !== undefined || now.forwarders === 'all');
        if (to === 'drained' && from !== 'drained') assert.ok(from === 'closing' && !now.isHaproxyRunning);
        // Between serving and closed there is always a word to the forwarders, or theirs.
        assert.ok(!(from === 'serving' && to === 'closing' && now.forwarders !== 'all'));
      }),
    );
  });
});

describe('what the forwarders do', () => {
  const report = (...draining: readonly boolean[]): AgentReport => ({
    version: '1',
    startedAt: new Date(Date.now() - 3_600_000).toISOString(),
    vips: [],
    verdicts: {},
    draining: true,
    forwarders: draining.map((one, i) => ({
      address: `10.0.0.${i + 1}`,
      draining: one,
      agoMs: 0,
      everyMs: 5000,
    })),
  });
  const reportsOf = (...reports: readonly AgentReport[]): Reports =>
    new Map(reports.map((one, i) => [`10.1.0.${i + 1}`, one]));
  const known = (...looks: readonly (Reports | undefined)[]): KnownForwarders => {
    const all = new KnownForwarders();
    looks.forEach((each, i) => {
      all.take(each, i * 1000);
    });
    return all;
  };

  it('is known when each of them has said it of each address of the host', () => {
    assert.equal(known(reportsOf(report(true, true), report(true))).do(true), 'all');
    assert.equal(known(reportsOf(report(true, true), report(false))).do(true), 'some');
    assert.equal(known(reportsOf(report(true, true), report())).do(true), 'unknown');
    assert.equal(known(reportsOf()).do(true), 'none');
    assert.equal(known(undefined).do(true), 'unknown');
  });

  it('is no answer to a wish of this host before its agent reports the wish', () => {
    const before = known(reportsOf({ ...report(true), draining: false }));
    assert.equal(before.do(true), 'unknown');
    assert.equal(before.do(false), 'all');
  });

  it('is not known of an agent that has just started', () => {
    const young = { ...report(true), startedAt: new Date().toISOString() };
    assert.equal(known(reportsOf(young)).do(true), 'unknown');
  });

  it('is not known of a forwarder that was heard some minutes ago, and of no other one', () => {
    const both = reportsOf(report(true, false));
    const one = reportsOf(report(true));
    const silent = known(both, one);
    assert.equal(silent.do(true), 'unknown');
    assert.deepEqual(silent.list(), [
      { address: '10.0.0.1', draining: true },
      { address: '10.0.0.2', draining: false, silent: true },
    ]);
    silent.take(one, FORWARDER_REMEMBERED_MS + 1);
    assert.equal(silent.do(true), 'all');
    assert.equal(known(both, undefined, one).do(true), 'unknown', 'not forgotten with the agent');
  });

  it('is shown for each forwarder: it drains all addresses of the host, or not yet', () => {
    assert.deepEqual(known(reportsOf(report(true, true), report(false, true))).list(), [
      { address: '10.0.0.1', draining: false },
      { address: '10.0.0.2', draining: true },
    ]);
  });
});
