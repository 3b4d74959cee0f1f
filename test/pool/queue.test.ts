/** The queue of planned changes against a model: an ordered list of what is to be said of one field of one backend. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendConfig } from '#anyhop/config/types.js';
import {
  advance,
  cancelQueued,
  forceBackend,
  forceQueued,
  type PoolChanges,
  plan,
  startChanges,
} from '#anyhop/pool/change.js';
import { member, SETTLE_MS } from './change-fixture.js';

const NAMES = ['a', 'b', 'c', 'd'] as const;
type Fields = Partial<Pick<BackendConfig, 'weight' | 'state'>>;

const START = NAMES.map((name) => member(name));
/** A pool in which nothing may come: the weight of a member that nobody speaks of has just changed twice. */
function busy(): PoolChanges {
  const settled = startChanges({ members: [...START, member('z')] }, SETTLE_MS, 0);
  return [3, 2].reduce(
    (changes, weight) => plan(changes, { members: [...START, member('z', { weight })] }, 0),
    settled,
  );
}
const wantedBy = (changes: PoolChanges): readonly BackendConfig[] =>
  changes.queue.at(-1)?.members ?? changes.members;
const say = (changes: PoolChanges, name: string, fields: Fields): PoolChanges =>
  plan(
    changes,
    { members: wantedBy(changes).map((one) => (one.name === name ? { ...one, ...fields } : one)) },
    changes.nowMs,
  );
const drawn = ({ members, queue }: PoolChanges): string[] => {
  const lists = [members, ...queue.map((step) => step.members)];
  const text = (list: readonly BackendConfig[]) =>
    list.map(({ name, weight, state }) => `${name}${weight}${state === 'draining' ? 'd' : ''}`).join(' ');
  return lists.map(text);
};

test('an undrain takes back the drain that waits, and waits behind nothing', () => {
  const [a, b, c] = ['web-1', 'web-2', 'web-3'].map((name) => member(name));
  let changes = startChanges({ members: [a, b, c] }, SETTLE_MS, 0);
  changes = say(changes, 'web-1', { weight: 3 });
  changes = say(changes, 'web-1', { weight: 2 });
  changes = say(changes, 'web-3', { state: 'draining' });
  changes = say(changes, 'web-2', { weight: 3 });
  assert.equal(changes.queue.length, 2);
  changes = say(changes, 'web-3', { state: 'active' });
  assert.deepEqual(drawn(changes), ['web-12 web-21 web-31', 'web-12 web-23 web-31']);
  assert.deepEqual(
    changes.queue.map(({ id }) => id),
    [2],
    'the other keeps its id',
  );
  assert.deepEqual(drawn(advance(changes, SETTLE_MS)), ['web-12 web-23 web-31']);
});

test('a later weight replaces the one that waits, in its place and under its id', () => {
  let changes = say(busy(), 'a', { weight: 30 });
  changes = say(changes, 'b', { weight: 7 });
  changes = say(changes, 'a', { weight: 4 });
  assert.deepEqual(drawn(changes), ['a1 b1 c1 d1 z2', 'a4 b1 c1 d1 z2', 'a4 b7 c1 d1 z2']);
  assert.deepEqual(
    changes.queue.map(({ id }) => id),
    [1, 2],
  );
  assert.deepEqual(drawn(say(changes, 'a', { weight: 1 })), ['a1 b1 c1 d1 z2', 'a1 b7 c1 d1 z2']);
});

test('a removal does not take the drain before it out of the queue; that the backend stays takes back both', () => {
  const drained = say(busy(), 'b', { state: 'draining' });
  const removed = plan(drained, { members: wantedBy(drained).filter(({ name }) => name !== 'b') }, 0);
  assert.deepEqual(drawn(removed), ['a1 b1 c1 d1 z2', 'a1 b1d c1 d1 z2', 'a1 c1 d1 z2']);
  assert.deepEqual(plan(removed, { members: removed.members }, 0).queue, []);
  const stays = plan(
    removed,
    { members: wantedBy(busy()).map((one) => ({ ...one, weight: one.name === 'c' ? 5 : one.weight })) },
    0,
  );
  assert.deepEqual(drawn(stays), ['a1 b1 c1 d1 z2', 'a1 b1 c5 d1 z2']);
});

interface Word {
  readonly name: string;
  readonly field: keyof Fields;
  readonly value: number | string;
  readonly id: number;
}
const said = ({ field, value }: Pick<Word, 'field' | 'value'>): Fields => ({ [field]: value });

const word = fc.oneof(
  fc.record({
    name: fc.constantFrom(...NAMES),
    field: fc.constant('weight' as const),
    value: fc.integer({ min: 0, max: 4 }),
  }),
  fc.record({
    name: fc.constantFrom(...NAMES),
    field: fc.constant('state' as const),
    value: fc.constantFrom('active', 'draining'),
  }),
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('say' as const), word }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('force' as const), word }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('cancel' as const, 'bring' as const), at: fc.nat(2) }),
  },
);

test('whatever is said, forced, cancelled and brought forward, each field waits once, in its order, and keeps its id', () => {
  const seen = { say: 0, force: 0, cancel: 0, bring: 0 };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let changes = busy();
      let inForce = changes.members;
      let words: Word[] = [];
      let lastId = 0;
      const set = (list: readonly BackendConfig[], name: string, fields: Fields) =>
        list.map((one) => (one.name === name ? { ...one, ...fields } : one));
      for (const each of steps) {
        if (each.kind === 'say' || each.kind === 'force') {
          const { name, field, value } = each.word;
          const others = words.filter((one) => one.name !== name || one.field !== field);
          const known = words.find((one) => !others.includes(one));
          const isForced = each.kind === 'force';
          const isNews = inForce.find((one) => one.name === name)![field] !== value;
          // Ending a drain that is in force is put first, which the other tests are about.
          if (!isForced && field === 'state' && value === 'active' && isNews) continue;
          changes = isForced
            ? forceBackend(changes, name, said(each.word), changes.nowMs)
            : say(changes, name, said(each.word));
          if (isForced) inForce = set(inForce, name, said(each.word));
          if (isForced || !isNews) words = others;
          else if (known !== undefined) words = words.map((one) => (one === known ? { ...one, value } : one));
          else {
            lastId = changes.lastId;
            words = [...words, { name, field, value, id: lastId }];
          }
        } else {
          if (each.at >= words.length) continue;
          const [taken] = words.splice(each.at, 1);
          const transition = each.kind === 'cancel' ? cancelQueued : forceQueued;
          changes = transition(changes, each.at, changes.nowMs);
          if (each.kind === 'bring') inForce = set(inForce, taken.name, said(taken));
        }
        seen[each.kind]++;
        const expected = [inForce];
        for (const one of words) expected.push(set(expected.at(-1)!, one.name, said(one)));
        assert.deepEqual([changes.members, ...changes.queue.map(({ members }) => members)], expected);
        assert.deepEqual(
          changes.queue.map(({ id }) => id),
          words.map(({ id }) => id),
        );
      }
    }),
    { numRuns: 500 },
  );
  for (const [kind, count] of Object.entries(seen)) assert.ok(count > 10, `${kind}: ${count}`);
});
