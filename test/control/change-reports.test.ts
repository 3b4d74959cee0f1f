/** What a running node does not take without being forced, since nobody would remember whose the flows were. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { otherSlots, restartFields, settingsChanges } from '#anyhop/control/change-reports.js';
import { NODE, parse } from '../config/fixture.js';

const TEXT = `${NODE}pools:
  web: {table_size: 251, backends: [{name: a, address: 10.1.0.1}]}
  other: {table_size: 251, backends: [{name: b, address: 10.1.0.2}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web, hash: 5-tuple, second_chance: off}
`;
const BEFORE = parse(TEXT, 'run');
const after = (from: string, to: string) => {
  assert.ok(TEXT.includes(from));
  return parse(TEXT.replace(from, to), 'run');
};

describe('a change of the config', () => {
  it('that gives flows other slots is named with what does it', () => {
    assert.match(
      otherSlots(BEFORE, after('{table_size: 251', '{table_size: 257'))!,
      /web\.table_size: 251 -> 257/,
    );
    assert.match(otherSlots(BEFORE, after('hash: 5-tuple', 'hash: source'))!, /web: hash 5-tuple -> source/);
    assert.match(otherSlots(BEFORE, after('pool: web', 'pool: other'))!, /web: pool web -> other/);
  });

  it('that gives none other slots is none of that: members, names, ports that end or begin, second chance', () => {
    for (const [from, to] of [
      ['{name: a,', '{name: c, address: 10.1.0.3}, {name: a,'],
      ['name: web, vip', 'name: www, vip'],
      ['port: 80', 'port: 81'],
      ['second_chance: off', 'second_chance: on'],
    ] as const) {
      assert.equal(otherSlots(BEFORE, after(from, to)), undefined, to);
    }
    assert.deepEqual(settingsChanges(BEFORE, after('second_chance: off', 'second_chance: on')), [
      'web: second chance off -> on',
    ]);
  });

  it('of what is fixed for the life of the process is told by field, and the secret by its name alone', () => {
    assert.deepEqual(restartFields(BEFORE.node, after('port: 80', 'port: 81').node), []);
    assert.deepEqual(restartFields(BEFORE.node, after('interface: eth0', 'interface: eth1').node), [
      'node.interface',
    ]);
    const key = parse(TEXT.replace(/key: \S+/, `key: ${'ab'.repeat(16)}`), 'run').node;
    assert.deepEqual(restartFields(BEFORE.node, key), ['node.key']);
  });
});
