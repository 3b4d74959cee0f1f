import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ResolveInput, resolvePool } from '#anyhop/table/resolve.js';
import type { Member } from '#anyhop/table/state.js';
import { members } from './pools.js';

const base: ResolveInput = { slots: 251, state: members(5), prior: members(5) };

function digests(input: Partial<ResolveInput> = {}): { owners: string; alternates: string } {
  const tables = resolvePool({ ...base, ...input });
  return { owners: tables.ownersDigest, alternates: tables.alternatesDigest };
}

const one = (fields: Partial<Member>): Member[] => members(5, (i) => (i === 2 ? fields : {}));

test('digests are 64 hexadecimal digits, and equal for equal input', () => {
  const { owners, alternates } = digests();
  for (const digest of [owners, alternates]) assert.match(digest, /^[0-9a-f]{64}$/);
  assert.notEqual(owners, alternates);
  assert.deepEqual(digests({ state: members(5).reverse(), prior: members(5).reverse() }), {
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

test('the prior state changes the digest of the alternates alone', () => {
  const { owners, alternates } = digests();
  for (const prior of [one({ health: 'down' }), members(4), members(7)]) {
    const changed = digests({ prior });
    assert.equal(changed.owners, owners);
    assert.notEqual(changed.alternates, alternates);
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
  assert.deepEqual(digests({ slots: 65537, state: mixed, prior: members(7) }), {
    owners: '596be56b0b2cb4d9bbefe4bc03cc3263505ab0c2757fd4e4a4a6a55c225d36d6',
    alternates: 'cdd73adfdfe57cd30aa05a374cd505d6f57fd25c501a7cb79adf142139eb325a',
  });
});
