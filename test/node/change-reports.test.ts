/** What a running node does not take without being forced, since nobody would remember whose the flows were. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { losses, restartFields, restartHint, settingsChanges } from '#anyhop/node/change-reports.js';
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
  it('that breaks connections for good is named with what does it, all of it', () => {
    const only = (from: string, to: string): string => {
      const found = losses(BEFORE, after(from, to));
      assert.equal(found.length, 1, found.join());
      return found[0];
    };
    assert.match(only('{table_size: 251', '{table_size: 257'), /web\.table_size: 251 -> 257/);
    assert.match(only('hash: 5-tuple', 'hash: source'), /web: hash 5-tuple -> source/);
    assert.match(only('pool: web', 'pool: other'), /web: pool web -> other/);
    assert.match(only('port: 80', 'port: 81'), /web: no longer served; those flows end/);
    assert.match(only('vip: 203.0.113.10', 'vip: 203.0.113.11'), /web: no longer served/);
    const both = TEXT.replace('hash: 5-tuple', 'hash: source').replace(
      '{table_size: 251',
      '{table_size: 257',
    );
    assert.equal(losses(BEFORE, parse(both, 'run')).length, 2);
  });

  it('of the name of a pool is none of these, whatever else changes in it', () => {
    const renamed = TEXT.replace('  web: {', '  www: {').replace('pool: web', 'pool: www');
    assert.deepEqual(losses(BEFORE, parse(renamed, 'run')), []);
    const grown = renamed.replace('{name: a,', '{name: c, address: 10.1.0.3}, {name: a,');
    assert.deepEqual(losses(BEFORE, parse(grown, 'run')), []);
    const resized = renamed.replace('www: {table_size: 251', 'www: {table_size: 257');
    assert.match(losses(BEFORE, parse(resized, 'run')).join(), /^pools\.www\.table_size: 251 -> 257/);
    const same = TEXT.replace('pool: web', 'pool: other').replace('address: 10.1.0.2', 'address: 10.1.0.1');
    assert.deepEqual(losses(BEFORE, parse(same, 'run')), [], 'another pool with the same backends');
  });

  it('to another key is one of these, and tells nothing of either', () => {
    const two = TEXT.replace('{name: a,', '{name: c, address: 10.1.0.3}, {name: a,');
    const other = parse(two.replace(/key: \S+/, `key: ${'ab'.repeat(16)}`), 'run');
    const [lost, ...others] = losses(parse(two, 'run'), other);
    assert.match(lost, /^node\.key: another key .* connections break of services without second chance: web/);
    assert.deepEqual(others, []);
    const [said] = settingsChanges(parse(two, 'run'), other);
    assert.match(
      said,
      /^flow hash key [0-9a-f]{16} -> [0-9a-f]{16}: another owner for 50 % of the flows of pool web; /,
    );
    for (const text of [lost, said]) assert.doesNotMatch(text, /abab/);
  });

  it('of members, names, ports that come and second chance is none of these', () => {
    for (const [from, to] of [
      ['{name: a,', '{name: c, address: 10.1.0.3}, {name: a,'],
      ['name: web, vip', 'name: www, vip'],
      ['port: 80', 'port: 80-81'],
      ['second_chance: off', 'second_chance: on'],
    ] as const) {
      assert.deepEqual(losses(BEFORE, after(from, to)), [], to);
    }
    assert.deepEqual(settingsChanges(BEFORE, after('second_chance: off', 'second_chance: on')), [
      'web: second chance off -> on',
    ]);
  });

  it('of what is fixed for the life of the process is told by field', () => {
    assert.deepEqual(restartFields(BEFORE.node, after('port: 80', 'port: 81').node), []);
    assert.deepEqual(restartFields(BEFORE.node, after('interface: eth0', 'interface: eth1').node), [
      'node.interface',
    ]);
    assert.match(restartHint(['node.interface']), /Connections stay with their backends/);
    for (const field of ['node.name', 'node.state_dir'])
      assert.match(
        restartHint([field, 'node.engine']),
        /does not find what it remembers .* unless NAME\.json is moved/,
      );
  });

  it('of the defence of services is told rule by rule, with lists and keys', () => {
    const defended = (defend: string) => parse(`${TEXT}defend: {${defend}}\n`, 'run');
    const block = 'block: [192.0.2.0/24], syn_cookies: auto, source_rate: {packets: 50k}';
    assert.deepEqual(settingsChanges(BEFORE, defended(block)), [
      'web: lists off -> enforce',
      'web: source_rate off -> an address (IPv6: a /64) may send 50k packets in 1s (enforce)',
      'web: syn_cookies off -> auto (enforce)',
      'defend.block nothing -> 192.0.2.0/24',
    ]);
    const other = block.replace('auto', '{when: auto, mode: observe}').replace('50k', '5k');
    assert.deepEqual(settingsChanges(defended(block), defended(other)), [
      'web: source_rate an address (IPv6: a /64) may send 50k packets in 1s (enforce) -> an address (IPv6: a /64) may send 5k packets in 1s (enforce)',
      'web: syn_cookies auto (enforce) -> auto (observe)',
    ]);
    assert.deepEqual(settingsChanges(defended(block), defended(block)), []);
  });
});
