/** Whom a backend takes for the fleet, after one config and another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fleet, FormerFleets, fleetOf, withFormer } from '#anyhop/agent/fleet.js';
import { parseConfig } from '#anyhop/config/load.js';
import { CONFIG } from './fixture.js';

const configOf = (change: (text: string) => string = (text) => text) =>
  parseConfig(change(CONFIG), 'agent.yaml', { role: 'agent', env: {} });
const texts = ({ forwarders, backends, peers }: Fleet): string[][] =>
  [forwarders, backends, peers].map((list) => list.map(({ text }) => text));

const BEFORE = configOf();
const AFTER = configOf((text) =>
  text
    .replace('10.0.0.0/28', '10.9.9.0/28')
    .replace('10.1.0.12', '10.1.0.22')
    .replace('fd00:1::12', 'fd00:1::22')
    .replace('  web:\n', '  web:\n    settle_time: 2s\n')
    .replace('  web6:\n', '  web6:\n    settle_time: 1s\n'),
);

test('a fleet is what the config says, and then what former ones had beside it', () => {
  assert.deepEqual(texts(fleetOf(BEFORE)), [
    ['10.0.0.0/28', 'fd00::/64'],
    ['10.1.0.11', '10.1.0.12', 'fd00:1::11', 'fd00:1::12'],
    ['10.1.0.11', '10.1.0.12', 'fd00:1::11', 'fd00:1::12'],
  ]);
  const [forwarders, backends, peers] = texts(withFormer(fleetOf(AFTER), [fleetOf(BEFORE)]));
  assert.deepEqual(forwarders, ['10.9.9.0/28', 'fd00::/64', '10.0.0.0/28']);
  const all = ['10.1.0.11', '10.1.0.22', 'fd00:1::11', 'fd00:1::22', '10.1.0.12', 'fd00:1::12'];
  assert.deepEqual([backends, peers], [all, all]);
});

test('a GRE key that would name a present peer and a former one names the present one', () => {
  const moved = configOf((text) =>
    text.replaceAll('fd00:1::', 'fd00:2::').replace('fd00::/64"', 'fd00::/64"'),
  );
  const { peers } = withFormer(fleetOf(moved), [fleetOf(BEFORE)]);
  assert.deepEqual(
    peers.map(({ text }) => text),
    ['10.1.0.11', '10.1.0.12', 'fd00:2::11', 'fd00:2::12'],
  );
});

test('a former fleet holds for the longest settle time of the two configs, and one that has nothing else not at all', () => {
  let nowMs = 1000;
  const former = new FormerFleets(() => nowMs);
  former.replaced(BEFORE, BEFORE);
  assert.deepEqual(former.inForce(), []);
  former.replaced(BEFORE, AFTER); // 5 minutes
  assert.deepEqual(former.inForce().map(texts), [texts(fleetOf(BEFORE))]);
  nowMs += 299_999;
  former.replaced(AFTER, AFTER);
  assert.equal(former.inForce().length, 1, 'a reload of the same config forgets nothing');
  assert.equal(former.hasExpired(), false);
  nowMs += 1;
  assert.deepEqual([former.inForce().length, former.hasExpired()], [0, true]);
  former.replaced(AFTER, AFTER);
  assert.equal(former.hasExpired(), false, 'the reload has taken it away');
});
