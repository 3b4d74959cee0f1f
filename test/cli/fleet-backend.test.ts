/** What one command makes of the config in force in a fleet, before anybody is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { edited } from '#anyhop/cli/fleet-backend.js';
import { candidateOf } from '#anyhop/cli/fleet-change.js';

const text = (state: string): string => `pools:
  web:
    backends:
      - {name: web-1, address: 10.1.0.11}
      - {name: web-2, address: 10.1.0.12, state: ${state}}
      - {name: web-3, address: 10.1.0.13}
`;
const remove = { kind: 'remove', backend: 'web-2', pool: undefined } as const;
const without = (state: string, force: boolean): string =>
  edited(candidateOf(text(state), 'revision 6'), remove, 'backend remove web-2', force).text;

test('a fleet removes a backend that drains, and no other unless it is forced', () => {
  const left = text('draining').replace(/^.*web-2.*\n/m, '');
  assert.equal(without('draining', false), left);
  assert.throws(() => without('active', false), {
    code: 'ERR_FLEET',
    message: 'web-2 does not drain in web: its connections would break',
    hint: /^Drain it first: `anyhop drain web-2 --fleet`/,
    exitCode: 2,
  });
  assert.equal(without('active', true), left);
});

test('a fleet in which nothing is in force has nothing to change', () => {
  assert.throws(() => edited(undefined, remove, 'backend remove web-2', true), { code: 'ERR_FLEET' });
});
