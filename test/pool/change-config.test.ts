import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PoolConfig, PriorBackendConfig } from '#anyhop/config/types.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { advance, mark, plan, startChanges } from '#anyhop/pool/change.js';
import { changeFromConfig, configInForce } from '#anyhop/pool/change-config.js';

function backend(
  name: string,
  address: string,
  fields: Partial<PriorBackendConfig> = {},
): PriorBackendConfig {
  const parsed = parseAddress(address)!;
  return { name, address: parsed, weight: 1, state: 'active', agent: true, health: 'up', ...fields };
}

function pool(names: readonly string[], prior?: readonly PriorBackendConfig[]): PoolConfig {
  const backends = names.map((name, i) => {
    const { health: _, ...rest } = backend(name, `2001:db8::${i + 1}`);
    return rest;
  });
  return {
    name: 'web',
    tableSize: 251,
    panicThreshold: 0,
    health: undefined,
    deadAfterMs: 300_000,
    settleMs: 300_000,
    drainDeadlineMs: 3_600_000,
    backends,
    prior,
  };
}

const names = (list: readonly { readonly name: string }[] | undefined) => list?.map(({ name }) => name);

test('the config in force is the file when all has settled, and keeps what was removed as prior backends', () => {
  const old = pool(['a', 'b']);
  const start = startChanges(changeFromConfig(old), 1000, 0);
  assert.deepEqual(configInForce(old, start).backends, old.backends);
  const next = pool(['a']);
  const removed = mark(plan(start, changeFromConfig(next), 10), 'a', 'down', 20);
  const inForce = configInForce(next, removed);
  assert.deepEqual(inForce.backends, next.backends);
  assert.deepEqual(inForce.prior, [backend('a', '2001:db8::1'), backend('b', '2001:db8::2')]);
  const settled = configInForce(next, advance(removed, 1020));
  assert.deepEqual(settled.prior, [backend('a', '2001:db8::1', { health: 'down' })]);
});

test('while a change of the file waits, the config in force is the one before it, but for its table size', () => {
  const start = startChanges(changeFromConfig(pool(['a', 'b'])), 1000, 0);
  const settling = plan(start, changeFromConfig(pool(['a', 'b', 'c'])), 0);
  const file = { ...pool(['a']), tableSize: 509 };
  const inForce = configInForce(file, plan(settling, changeFromConfig(file), 1));
  assert.deepEqual(
    [names(inForce.backends), names(inForce.prior)],
    [
      ['a', 'b', 'c'],
      ['a', 'b'],
    ],
  );
  assert.equal(inForce.tableSize, 509);
});

test('a prior state in the file is the prior state', () => {
  const prior = [backend('old', '192.0.2.9', { state: 'draining', health: 'down', agent: false })];
  const file = pool(['a'], prior);
  assert.deepEqual(configInForce(file, startChanges(changeFromConfig(file), 1000, 0)).prior, prior);
});
