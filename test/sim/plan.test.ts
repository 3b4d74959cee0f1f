/** What a node plans is what its tables then do, and what connections then notice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planOf } from '#anyhop/node/change-reports.js';
import { effects } from '#anyhop/pool/effects.js';
import { type Membership, NO_POOLS, take, takeMarks } from '#anyhop/pool/membership.js';
import { NO_FACTS, statesOf } from '#anyhop/pool/states.js';
import { parseScript } from '#anyhop/sim/event.js';
import { ANYHOP, ANYHOP_ALONE } from '#anyhop/sim/scheme.js';
import { simulate } from '#anyhop/sim/simulate.js';
import { type PoolTables, resolvePool } from '#anyhop/table/resolve.js';
import { NODE, parse } from '../config/fixture.js';

const SLOTS = 65537;
const FLOWS = 20_000;
const FILE = parse(
  `${NODE}pools:
  web:
    table_size: ${SLOTS}
    settle_time: 300s
    backends: [${[1, 2, 3, 4, 5].map((i) => `{name: web-${i}, address: 10.1.0.${i}}`).join(', ')}]
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
`,
  'run',
);

/** Of a node's only pool. */
function tablesOf(pools: Membership): PoolTables {
  const [{ file, changes }] = pools.values();
  return resolvePool(statesOf(file, changes));
}

/** Share of the slots for which `holds` is true of owner before, owner and alternates after. */
function shareOf(
  before: PoolTables,
  after: PoolTables,
  holds: (was: string, owner: string, ...alternates: string[]) => boolean,
): number {
  let count = 0;
  const { names, owners, alternates } = after;
  for (let slot = 0; slot < SLOTS; slot++) {
    const [owner, ...others] = [owners[slot], alternates[slot], alternates[SLOTS + slot]];
    if (holds(before.names[before.owners[slot]], names[owner], ...others.map((one) => names[one]))) count++;
  }
  return count / SLOTS;
}

test('a panic threshold that ends panic is planned with the flows that it breaks, which nobody remembers', () => {
  const [pool] = FILE.pools;
  const inPanic = take(NO_POOLS, [{ ...pool, panicThreshold: 0.5 }], { force: false, nowMs: 0 });
  const down = new Set(['web-1', 'web-2', 'web-3']);
  const marked = takeMarks(inPanic, (_, { name }) => (down.has(name) ? { health: 'down' } : undefined), 1000);
  const before = take(marked, [{ ...pool, panicThreshold: 0.5 }], { force: false, nowMs: 400_000 });
  const after = take(before, [{ ...pool, panicThreshold: 0 }], { force: false, nowMs: 400_001 });
  const [effect] = effects(before, after);
  assert.equal(effect.effect, 'unchanged');
  const { moved, flows } = planOf(effect, before, after, NO_FACTS).plan!;
  const [was, is] = [before, after].map(tablesOf);
  assert.equal(
    moved.share,
    shareOf(was, is, (one, owner) => one !== owner),
  );
  assert.ok(moved.share > 0.55, 'the slots of three of five');
  assert.equal(
    flows.at(-1)!.tcpBreakWithSecondChance,
    shareOf(was, is, (one, ...found) => !found.includes(one)),
  );
  assert.ok(flows.at(-1)!.tcpBreakWithSecondChance > 0.1);
  assert.deepEqual(
    planOf(effect, before, before, NO_FACTS),
    {},
    'with the same threshold there is nothing to plan',
  );
});

/** One of five fails, and half a minute later another is removed. */
function simulated(lifetimeMs: number) {
  const report = simulate({
    seed: 1,
    backends: 5,
    nodes: 1,
    flows: FLOWS,
    slots: SLOTS,
    settleMs: 300_000,
    lifetimeMs,
    tickMs: 6000,
    events: parseScript('down web-5, wait 30, remove web-1, settle'),
    schemes: [ANYHOP, ANYHOP_ALONE],
  });
  return report.rows.at(-1)!.counts;
}

test('one of five backends fails, then another is removed: plan, tables and simulation give the same shares', () => {
  const start = take(NO_POOLS, FILE.pools, { force: false, nowMs: 0 });
  const failed = takeMarks(start, (_, { name }) => (name === 'web-5' ? { health: 'down' } : undefined), 1000);
  const rest = FILE.pools.map((pool) => ({ ...pool, backends: pool.backends.slice(1) }));
  const removed = take(failed, rest, { force: false, nowMs: 31_000 });
  const [effect] = effects(failed, removed);
  assert.equal(effect.effect, 'in_force', 'a planned change does not wait for a health mark');
  const { moved, flows } = planOf(effect, failed, removed, NO_FACTS).plan!;
  const [old, since] = flows;
  assert.deepEqual([old.born, since.born], ['remembered', 'in_force']);

  const [atFirst, during, after] = [start, failed, removed].map(tablesOf);
  assert.equal(
    moved.share,
    shareOf(during, after, (was, owner) => was !== owner),
  );
  const isLost = (was: string, ...found: string[]) => !found.includes(was);
  assert.equal(old.tcpBreakWithSecondChance, shareOf(atFirst, after, isLost));
  assert.equal(since.tcpBreakWithSecondChance, shareOf(during, after, isLost));
  assert.ok(moved.share > 0.25, "a quarter of the slots was web-1's");

  // Every connection is born after the failure: none lives for half a minute.
  const { anyhop, anyhop_without_second_chance: alone } = simulated(20_000);
  const near = (count: number, share: number): void =>
    assert.ok(Math.abs(count / FLOWS - share) < 0.01, `${count / FLOWS}, planned ${share}`);
  near(alone.broken, moved.share);
  assert.equal(anyhop.broken, 0);

  assert.deepEqual([old.tcpBreakWithSecondChance, since.tcpBreakWithSecondChance], [0, 0]);
  assert.equal(simulated(200_000)['anyhop'].broken, 0, 'whatever is older than the failure');
});
