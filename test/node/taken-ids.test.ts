/** An id goes to another machine only when nobody can still mean the one that had it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { type Served, servedOf } from '#anyhop/node/assemble.js';
import { takenIds, takenIdsAtRestart } from '#anyhop/node/taken-ids.js';
import { plan, startChanges } from '#anyhop/pool/change.js';
import { memoryOf } from '#anyhop/pool/membership.js';
import { statesOfConfig } from '#anyhop/pool/states.js';
import { join, parse, SERVICES } from '../config/fixture.js';

const ON = SERVICES.replace('pool: web}', 'pool: web, second_chance: on}');
const fileOf = (
  backends: readonly string[],
  services = ON,
  prior: readonly string[] = [],
): LoadedConfig<'run'> =>
  parse(
    join({
      pools: `pools:
  web:
    backends:
${backends.map((one) => `      - {${one}}\n`).join('')}${prior.length === 0 ? '' : `    prior:\n${prior.map((one) => `      - {${one}}\n`).join('')}`}  dns:
    backends: [{name: dns-1, address: 10.9.0.53}]
`,
      services,
    }),
  );
const A = 'name: a, address: 10.1.0.11';
const B = 'name: b, address: 10.1.0.12';

/** The file's pools, with members of an earlier one remembered. */
function remembering(file: LoadedConfig<'run'>, former: LoadedConfig<'run'>): Served {
  const pools = file.pools.map((pool, i) => ({
    ...statesOfConfig(pool),
    remembered: [statesOfConfig(former.pools[i]).state],
  }));
  return { services: file.services, pools };
}

test('another machine in the place of a backend is refused its id, with a free one to paste', () => {
  assert.deepEqual(takenIds(servedOf(fileOf([A, B])), fileOf(['name: a, address: 10.2.0.11', B])), [
    'pools.web: a (10.2.0.11) has the id 11, which 10.1.0.11 had within the settle time; expected a free one beside the address: id: 32767',
  ]);
});

test('remembered members count, those that have left too', () => {
  const [both, one] = [fileOf([A, B]), fileOf([B])];
  const next = fileOf([B, 'name: c, address: 10.2.0.11']);
  assert.equal(takenIds(remembering(one, both), next).length, 1);
  assert.deepEqual(takenIds(remembering(one, one), next), []);
});

test('an id that a machine gives up is not free for another at once', () => {
  const [before, after] = [
    fileOf([A, B]),
    fileOf([`${A}, id: 100`, 'name: c, address: 10.1.0.13, id: 11', B]),
  ];
  assert.match(
    takenIds(servedOf(before), after).join(),
    /^pools\.web: c \(10\.1\.0\.13\) has the id 11, which 10\.1\.0\.11 had/,
  );
});

test('the same machine keeps its id under another name, in another pool, and in a prior state', () => {
  const before = servedOf(fileOf([A, B]));
  assert.deepEqual(takenIds(before, fileOf(['name: z, address: 10.1.0.11', B])), []);
  assert.deepEqual(takenIds(before, fileOf([B], ON, [A, B])), []);
});

test('a restart keeps the id of a machine that has left for as long as the node remembers it', () => {
  const [both, one] = [fileOf([A, B]), fileOf([B])];
  const { settleMs } = one.pools[0];
  const started = startChanges({ members: both.pools[0].backends }, settleMs, 1000);
  const left = plan(started, { members: one.pools[0].backends }, 2000);
  const memory = new Map([['web', memoryOf(left)]]);
  const next = fileOf([B, 'name: c, address: 10.2.0.11']);
  const said = /^pools\.web: c \(10\.2\.0\.11\) has the id 11, which 10\.1\.0\.11 had within the settle time/;
  assert.match(takenIdsAtRestart(one, next, memory, 12_000).join(), said);
  assert.match(takenIdsAtRestart(undefined, next, memory, 12_000).join(), said, 'without the last config');
  assert.deepEqual(takenIdsAtRestart(one, next, memory, 2000 + settleMs), []);
  assert.deepEqual(takenIdsAtRestart(one, next, new Map(), 12_000), []);
  assert.deepEqual(
    takenIdsAtRestart(one, fileOf([A, B]), memory, 12_000),
    [],
    'the machine itself comes back',
  );
  const without = [fileOf([B], SERVICES), fileOf([B, 'name: c, address: 10.2.0.11'], SERVICES)] as const;
  assert.deepEqual(takenIdsAtRestart(...without, memory, 12_000), [], 'nobody’s without second chance');
});

test('ids are nobody’s where no service has second chance, before and after', () => {
  const next = ['name: a, address: 10.2.0.11', B];
  assert.deepEqual(takenIds(servedOf(fileOf([A, B], SERVICES)), fileOf(next, SERVICES)), []);
  // The members that are remembered are named by keys from then on.
  const turnedOn = takenIds(remembering(fileOf(next, SERVICES), fileOf([A, B], SERVICES)), fileOf(next));
  assert.equal(turnedOn.length, 1);
});

test('what is said is all that stands in the way: with the free ids pasted, the config is taken', () => {
  const address = fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 5 }))
    .map(([net, host]) => `10.${net}.0.${host}`);
  const list = fc.uniqueArray(address, {
    minLength: 1,
    maxLength: 5,
    selector: (text) => text.split('.')[3],
  });
  fc.assert(
    fc.property(list, list, list, (older, old, next) => {
      const lines = (addresses: readonly string[], ids: ReadonlyMap<string, string> = new Map()) =>
        addresses.map(
          (text, i) => `name: n${i}, address: ${text}${ids.has(text) ? `, ${ids.get(text)}` : ''}`,
        );
      const before = remembering(fileOf(lines(old)), fileOf(lines(older)));
      const taken = takenIds(before, fileOf(lines(next)));
      const ids = new Map(
        taken.map(
          (said) => /\((10[^)]*)\).*beside the address: (id: \d+)$/.exec(said)!.slice(1) as [string, string],
        ),
      );
      const hostOf = (text: string) => text.split('.')[3];
      const isTaken = (text: string) =>
        [...old, ...older].some((one) => one !== text && hostOf(one) === hostOf(text));
      assert.deepEqual([...ids.keys()], next.filter(isTaken));
      assert.deepEqual(takenIds(before, fileOf(lines(next, ids))), []);
    }),
  );
});
