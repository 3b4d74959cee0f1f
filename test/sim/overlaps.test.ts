/** What `anyhop simulate` prints of changes that overlap: two break nothing, and three are told from them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseScript, type SimEvent } from '#anyhop/sim/event.js';
import { OVERLAP_BACKENDS, OVERLAPS, playOverlap } from '#anyhop/sim/overlaps.js';
import { ANYHOP, ANYHOP_ALONE, ANYHOP_ONE } from '#anyhop/sim/scheme.js';
import { simulate } from '#anyhop/sim/simulate.js';

const OPTIONS = { seed: 1, nodes: 2, flows: 4000 };
const results = OVERLAPS.map((overlap) => playOverlap(overlap, OPTIONS));

function shares(name: string, scheme: string): number[] {
  return results.find((result) => result.name === name)!.fleets.map(({ broken }) => broken[scheme]!);
}

test('two changes that overlap break nothing with 5, 10 and 50 backends, and a lot without second chance', () => {
  const pairs = results.filter(({ changes }) => changes === 2);
  assert.equal(pairs.length, 8);
  for (const { name, fleets } of pairs) {
    assert.deepEqual(
      fleets.map(({ backends }) => backends),
      [...OVERLAP_BACKENDS],
    );
    for (const { broken } of fleets) assert.equal(broken[ANYHOP.name], 0, name);
    const [small, , large] = shares(name, ANYHOP_ALONE.name);
    assert.ok(small! > 0.15 && large! > 0.01, `${name}: ${small}, ${large}`);
  }
});

test('a key with one alternate would break connections of five backends on two changes', () => {
  for (const name of ['drain and drain', 'drain and false down', 'add and add', 'remove and add'])
    assert.ok(shares(name, ANYHOP_ONE.name)[0]! > 0.005, name);
});

test('three changes that overlap break some connections of five backends, and hardly any of fifty', () => {
  for (const name of ['three drains', 'two drains and false down']) {
    const [small, , large] = shares(name, ANYHOP.name);
    assert.ok(small! > 0.002, `${name}: ${small}`);
    assert.ok(large! < 0.001, `${name}: ${large}`);
  }
});

test('what is called forced would have waited: without force the third drain comes later, and breaks nothing', () => {
  const { forced, events } = results.find(({ name }) => name === 'three drains')!;
  assert.deepEqual(forced, ['force drain web-3']);
  for (const { name, forced: none } of results) if (name !== 'three drains') assert.deepEqual(none, [], name);

  const drains = (script: string): number[] => changesOf([...parseScript(script), { kind: 'settle' }]);
  assert.equal(drains(events).length, 3);
  const [first, second, third] = drains(events.replace('force ', ''));
  assert.equal(second! - first!, 10_000);
  assert.ok(third! - first! >= 60_000, String(third! - first!));
});

test('the same seed gives the same shares, by the events that are told', () => {
  const { name, events } = results[0]!;
  const again = playOverlap(OVERLAPS[0]!, OPTIONS);
  assert.deepEqual(again, results[0]);
  assert.equal(name, 'drain and crash');
  assert.equal(events, 'wait 30, drain web-1, wait 20, crash web-2, wait 5, down web-2, settle');
});

/** When states in force changed. Something has to break for that to be told: what has no second chance does. */
function changesOf(events: readonly SimEvent[]): number[] {
  let changes: readonly number[] = [];
  simulate({
    ...OPTIONS,
    backends: 5,
    slots: 1009,
    settleMs: 60_000,
    lifetimeMs: 60_000,
    tickMs: 5000,
    events,
    schemes: [ANYHOP, ANYHOP_ALONE],
    onBreak: ({ changesAtMs }) => {
      changes = changesAtMs;
    },
  });
  return [...changes];
}
