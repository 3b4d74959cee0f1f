import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { RecentStates } from '#anyhop/discover/recent.js';

test('the states of a window are those in force at any moment of it', () => {
  let now = 0;
  const recent = new RecentStates(() => now);
  const saw = (...names: string[]): void =>
    recent.saw([
      {
        key: 'pool web',
        members: names.map((name) => ({ name, address: '', weight: 1, state: 'active', leaves: false })),
      },
    ]);
  const states = (ms: number) =>
    recent.of({ key: 'pool web', windowMs: ms }).map((names) => [...names].join(''));
  saw('a', 'b');
  now = 10;
  saw('a', 'b');
  saw('a');
  now = 20;
  saw('a', 'c');
  deepEqual(states(20), ['ab', 'a', 'ac']);
  deepEqual(states(9), ['a', 'ac']); // at 11 there was a
  now = 30;
  deepEqual(states(5), ['ac']);
});
