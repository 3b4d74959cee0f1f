import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ResolveInput, resolvePool } from '#anyhop/table/resolve.js';
import type { Member } from '#anyhop/table/state.js';
import { members } from './pools.js';

const base: ResolveInput = { slots: 251, state: members(5), remembered: [members(5)] };

function digests(input: Partial<ResolveInput> = {}): { owners: string; alternates: string } {
  const tables = resolvePool({ ...base, ...input });
  return { owners: tables.ownersDigest, alternates: tables.alternatesDigest };
}

const one = (fields: Partial<Member>): Member[] => members(5, (i) => (i === 2 ? fields : {}));

test('digests are 64 hexadecimal digits, and equal for equal input', () => {
  const { owners, alternates } = digests();
  for (const digest of [owners, alternates]) assert.match(digest, /^[0-9a-f]{64}$/);
  assert.notEqual(owners, alternates);
  assert.deepEqual(digests({ state: members(5).reverse(), remembered: [members(5).reverse()] }), {
    owners,
    alternates,
  });
});

test('a member, weight, mark, table size or threshold that differs changes both digests', () => {
  const { owners, alternates } = digests();
  for (const input of [
    { state: one({ name: 'other' }) },
    { state: one({ weight: 2 }) },
    { state: one({ health: 'down' }) },
    { state: one({ state: 'draining' }) },
    { state: members(6) },
    // Nobody's slots differ, but the nodes' inputs do.
    { state: [...members(5), { ...members(1)[0], name: 'new', weight: 0 }] },
    { slots: 257 },
    { panicThreshold: 0.1 },
  ] satisfies Partial<ResolveInput>[]) {
    const changed = digests(input);
    assert.notEqual(changed.owners, owners, JSON.stringify(input));
    assert.notEqual(changed.alternates, alternates, JSON.stringify(input));
  }
});

test('a remembered state changes the digest of the alternates alone', () => {
  const { owners, alternates } = digests();
  for (const former of [one({ health: 'down' }), members(4), members(7)]) {
    const changed = digests({ remembered: [former] });
    assert.equal(changed.owners, owners);
    assert.notEqual(changed.alternates, alternates);
  }
});

test('nodes that remember the same states have the same digests, however often and in whatever form they do', () => {
  const [a, b] = [one({ health: 'down' }), members(7)];
  const { owners, alternates } = digests({ remembered: [a, b] });
  const [present, dead, drained] = [
    members(5),
    one({ health: 'dead' }),
    one({ health: 'down', drained: true }),
  ];
  for (const remembered of [
    [a, b, a],
    [a, a, b, b],
    [present, a, present, b],
    [dead, b],
    [drained, b],
    [one({ health: 'down', unreachable: true }), [...b].reverse()],
  ]) {
    assert.deepEqual(digests({ remembered }), { owners, alternates }, JSON.stringify(remembered));
  }
  assert.notEqual(digests({ remembered: [b, a] }).alternates, alternates, 'the newest counts first');
  assert.deepEqual(digests({ remembered: [] }), digests({ remembered: [present] }));
});

test('another address, or a machine that is gone and dead, changes the digest of the alternates alone', () => {
  const at = (host: string): Member[] => one({ address: { text: host } });
  const gone = (health: Member['health']): Member[] => [...members(5), { ...members(6)[5], health }];
  for (const [before, after] of [
    [{ state: at('10.1.0.1') }, { state: at('10.1.0.2') }],
    [{ remembered: [at('10.1.0.1')] }, { remembered: [at('10.1.0.2')] }],
    [{ remembered: [gone('down')] }, { remembered: [gone('dead')] }],
  ] satisfies Partial<ResolveInput>[][]) {
    const [was, is] = [digests(before), digests(after)];
    assert.equal(is.owners, was.owners);
    assert.notEqual(is.alternates, was.alternates);
  }
});

test('a backend that is dead instead of down changes the digest of the alternates alone', () => {
  const down = digests({ state: one({ health: 'down' }) });
  const dead = digests({ state: one({ health: 'dead' }) });
  assert.equal(dead.owners, down.owners);
  assert.notEqual(dead.alternates, down.alternates);
});

test('digests of a known pool stay what they were: a change is a new version of the function', () => {
  const mixed = members(7, (i) => ({ weight: 1 + (i % 3), health: i === 1 ? 'down' : 'up' }));
  assert.deepEqual(digests({ slots: 65537, state: mixed, remembered: [members(7)] }), {
    owners: '07e1c1b5ccea776ef9558dbd143e8c29bf9a7e72fd5d7eded1e927f7b0dc056a',
    alternates: 'eee4586d931699220d5a17daceb8eb332275d8bb812cdf6e8672e20bf79a42bc',
  });
});
