/** The stages of a proxy host's drain: which follows which, whatever comes in between. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type DrainFacts, nextStage, type Stage } from '#anyhop/l7/drain.js';

const DEADLINE_MS = 1000;
const QUIET: DrainFacts = {
  nowMs: 0,
  askedAtMs: undefined,
  deadlineMs: DEADLINE_MS,
  allDrain: false,
  isHaproxyRunning: true,
};

describe('a proxy host', () => {
  it('tells the forwarders before HAProxy closes anything', () => {
    const asked = { ...QUIET, askedAtMs: 0 };
    assert.deepEqual(nextStage('serving', asked), { stage: 'following' });
    assert.deepEqual(nextStage('following', asked), { stage: 'following' });
    assert.deepEqual(nextStage('following', { ...asked, allDrain: true }), {
      stage: 'closing',
      because: 'forwarders',
    });
  });

  it('closes at the deadline although a forwarder has not followed, or its agent does not answer', () => {
    for (const allDrain of [false, undefined]) {
      const facts = { ...QUIET, askedAtMs: 0, allDrain };
      assert.equal(nextStage('following', { ...facts, nowMs: DEADLINE_MS - 1 }).stage, 'following');
      assert.deepEqual(nextStage('following', { ...facts, nowMs: DEADLINE_MS }), {
        stage: 'closing',
        because: 'deadline',
      });
    }
  });

  it('closes by itself when all forwarders drain it, and serves again when they no longer do', () => {
    assert.deepEqual(nextStage('serving', { ...QUIET, allDrain: true }), {
      stage: 'closing',
      because: 'forwarders',
    });
    assert.equal(
      nextStage('closing', { ...QUIET, allDrain: true, isHaproxyRunning: false }).stage,
      'drained',
    );
    assert.equal(
      nextStage('drained', { ...QUIET, allDrain: true, isHaproxyRunning: false }).stage,
      'drained',
    );
    assert.equal(nextStage('drained', { ...QUIET, isHaproxyRunning: false }).stage, 'serving');
  });

  it('stays drained while its agent does not answer', () => {
    assert.equal(
      nextStage('drained', { ...QUIET, allDrain: undefined, isHaproxyRunning: false }).stage,
      'drained',
    );
  });

  it('never starts HAProxy while somebody asks for the drain, and never ends it while nobody drains', () => {
    const stage = fc.constantFrom<Stage>('serving', 'following', 'closing', 'drained');
    const facts = fc.record({
      nowMs: fc.nat(3000),
      askedAtMs: fc.option(fc.nat(3000), { nil: undefined }),
      deadlineMs: fc.constant(DEADLINE_MS),
      allDrain: fc.constantFrom(true, false, undefined),
      isHaproxyRunning: fc.boolean(),
    });
    fc.assert(
      fc.property(stage, facts, (from, now) => {
        const { stage: to } = nextStage(from, now);
        if (from === 'drained' && to === 'serving') assert.equal(now.askedAtMs, undefined);
        if (to === 'closing' && from !== 'closing')
          assert.ok(now.askedAtMs !== undefined || now.allDrain === true);
        if (to === 'drained' && from !== 'drained') assert.ok(from === 'closing' && !now.isHaproxyRunning);
        // Between serving and closed there is always a word to the forwarders, or theirs.
        assert.ok(!(from === 'serving' && to === 'closing' && now.allDrain !== true));
      }),
    );
  });
});
