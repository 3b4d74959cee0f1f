/** Another flow hash key for a running node, in words: what it moves, and what it waits for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { keyChange, keyIdOf, keyWaits } from '#anyhop/node/key-change.js';
import { keyLosses } from '#anyhop/pool/key-cost.js';
import { NO_POOLS, take } from '#anyhop/pool/membership.js';
import { NODE, parse } from '../config/fixture.js';

const BACKENDS = '{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2}';
const text = (
  backends = BACKENDS,
  key = '',
) => `${key === '' ? NODE : NODE.replace(/key: \S+/, `key: ${key}`)}pools:
  web: {table_size: 251, settle_time: 60s, backends: [${backends}]}
  one: {table_size: 251, backends: [{name: c, address: 10.1.0.3}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web, second_chance: on}
  - {name: alone, vip: 203.0.113.10, protocol: udp, port: 53, pool: one}
`;
const OTHER = 'ab'.repeat(16);
const before = parse(text(), 'run');
const after = parse(text(BACKENDS, OTHER), 'run');

describe('another flow hash key for a node', () => {
  it('moves flows of pools with two owners or more, by their weights', () => {
    assert.equal(keyChange(before, before), undefined);
    assert.match(keyChange(before, after)!.words, /: another owner for 50 % of the flows of pool web; /);
    const uneven = parse(text(BACKENDS.replace('10.1.0.1', '10.1.0.1, weight: 3'), OTHER), 'run');
    assert.match(keyChange(before, uneven)!.words, /: another owner for 37.5 % of the flows of pool web; /);
  });

  it('breaks nothing with second chance, nor of a pool with one backend', () => {
    assert.deepEqual(keyLosses(after), []);
    const plain = parse(text(BACKENDS.replace('10.1.0.1', '10.1.0.1, agent: false'), OTHER), 'run');
    assert.match(
      keyLosses(plain).join(),
      /^another key .* connections break of backends without an agent: web\/a$/,
    );
  });

  it('waits where two planned changes are open, and says until when', () => {
    const start = take(NO_POOLS, before.pools, { force: false, nowMs: 0, keyId: keyIdOf(before) });
    const more = ['10.1.0.4', '10.1.0.5'].reduce((pools, address, i) => {
      const backends = `${BACKENDS}, {name: d, address: ${address}}`;
      return take(pools, parse(text(backends), 'run').pools, { force: false, nowMs: 1000 * (i + 1) });
    }, start);
    assert.deepEqual(keyWaits(start, after, 3000), []);
    const [wait, ...others] = keyWaits(more, after, 3000);
    assert.match(wait!, /^pool web: at the latest until /);
    assert.deepEqual(others, []);
    assert.deepEqual(keyWaits(more, after, 61_000), [], 'the first of the two has settled');
    assert.deepEqual(keyWaits(more, before, 3000), [], 'the same key');
  });
});
