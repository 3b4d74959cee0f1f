/** What is said at runtime, cancelled and brought forward: file and overrides together always want what the queue ends with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { effects, stepId } from '#anyhop/pool/effects.js';
import { type Membership, NO_POOLS, passTime, take } from '#anyhop/pool/membership.js';
import { overridden } from '#anyhop/pool/override.js';
import { bringForward, cancel, findQueued, say } from '#anyhop/pool/runtime.js';
import { NODE, parse, SERVICES } from '../config/fixture.js';

const NAMES = ['a', 'b', 'c'] as const;

function fileOf(weights: readonly number[]) {
  const lines = NAMES.map((name, i) => `{name: ${name}, address: 10.1.0.${i + 1}, weight: ${weights[i]}}`);
  return parse(
    `${NODE}pools:
  web: {table_size: 251, settle_time: 1s, backends: [${lines.join(', ')}]}
  dns: {table_size: 251, backends: [{name: dns-1, address: 10.1.1.1}]}
${SERVICES}`,
    'run',
  ).pools;
}

const FILE = fileOf([1, 1, 1]);
const start = (nowMs = 0): Membership => take(NO_POOLS, FILE, { force: false, nowMs });
/** Two changes are open, so others wait. */
const busy = (): Membership =>
  [4, 5].reduce((pools, weight) => say(pools, 'web', 'a', { weight }, { nowMs: 0, force: false }), start());
const web = (pools: Membership) => pools.get('web')!;
const ids = (pools: Membership): string[] => web(pools).changes.queue.map((step) => stepId('web', step));
const weights = (pools: Membership): string =>
  web(pools)
    .changes.members.map(({ name, weight }) => `${name}${weight}`)
    .join(' ');

test('a word that is cancelled leaves what was said before it', () => {
  const at = { nowMs: 0, force: false };
  let pools = busy();
  pools = say(pools, 'web', 'a', { weight: 30 }, at);
  pools = cancel(pools, ids(pools)[0], at);
  assert.deepEqual(
    web(pools).overrides.map(({ backend, weight }) => [backend, weight]),
    [['a', 5]],
  );
  pools = say(pools, 'web', 'b', { state: 'draining' }, at);
  pools = cancel(pools, ids(pools)[0], at);
  assert.deepEqual(
    web(pools).overrides.map(({ backend }) => backend),
    ['a'],
    'what the file says too is said no more',
  );
  assert.deepEqual(
    effects(pools, take(pools, FILE, at)).map(({ effect }) => effect),
    ['unchanged', 'unchanged'],
  );
});

test('a forced word comes alone, in its pool alone; a forced reload brings what waits, and tells so', () => {
  const at = { nowMs: 0, force: false };
  let pools = say(busy(), 'web', 'b', { weight: 6 }, at);
  pools = say(pools, 'web', 'c', { weight: 7 }, { nowMs: 1, force: true });
  assert.equal(weights(pools), 'a5 b1 c7');
  assert.equal(ids(pools).length, 1);
  const forced = take(pools, FILE, { nowMs: 2, force: true });
  assert.equal(weights(forced), 'a5 b6 c7');
  const [{ came }] = effects(pools, forced);
  assert.deepEqual(
    came.map(({ id, changes }) => `${id} ${changes.join()}`),
    [`${ids(pools)[0]} b weight 1 -> 6`],
  );
});

const action = fc.oneof(
  fc.record({
    kind: fc.constant('say' as const),
    name: fc.constantFrom(...NAMES),
    patch: fc.oneof(
      fc.record({ weight: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ state: fc.constantFrom('active' as const, 'draining' as const) }),
    ),
    force: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom('cancel' as const, 'force' as const), at: fc.nat(3) }),
  fc.record({
    kind: fc.constant('reload' as const),
    weights: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 3, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 1500 }) }),
);

test('whatever is said, cancelled, forced and reloaded, file and overrides want what the queue ends with', () => {
  let cancelled = 0;
  fc.assert(
    fc.property(fc.array(action, { maxLength: 20 }), (actions) => {
      let nowMs = 0;
      let pools = busy();
      for (const each of actions) {
        const at = { nowMs, force: false };
        if (each.kind === 'time') {
          nowMs += each.ms;
          pools = passTime(pools, nowMs);
        } else if (each.kind === 'say') {
          pools = say(pools, 'web', each.name, each.patch, { ...at, force: each.force });
        } else if (each.kind === 'reload') {
          pools = take(pools, fileOf(each.weights), at);
        } else {
          const id = ids(pools)[each.at];
          if (id === undefined) continue;
          pools = (each.kind === 'cancel' ? cancel : bringForward)(pools, id, at);
          assert.equal(findQueued(pools, id), undefined, `${id} waits no longer`);
          cancelled++;
        }
        const { file, overrides, changes } = web(pools);
        const { backends: members } = overridden(file, overrides);
        assert.deepEqual(
          // What discovery notes of a backend stays in the file.
          members.map(({ leaves: _, ...one }) => one).sort((a, b) => (a.name < b.name ? -1 : 1)),
          changes.queue.at(-1)?.members ?? changes.members,
        );
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(cancelled > 20, String(cancelled));
});
