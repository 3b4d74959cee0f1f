import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendConfig, PoolConfig, PriorBackendConfig } from '#anyhop/config/types.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { type PoolPlan, planPool as planStates } from '#anyhop/pool/plan.js';
import { NO_FACTS, statesOfConfig } from '#anyhop/pool/states.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import type { Health } from '#anyhop/table/state.js';

const SLOTS = 65537;

function backend(i: number, fields: Partial<BackendConfig> = {}): BackendConfig {
  const address = parseAddress(`10.1.${i >> 8}.${i & 255}`)!;
  return { name: `web-${i}`, address, weight: 1, state: 'active', agent: true, id: i + 1, ...fields };
}

function backends(
  count: number,
  change: (i: number) => Partial<BackendConfig> = () => ({}),
): BackendConfig[] {
  return Array.from({ length: count }, (_, i) => backend(i, change(i)));
}

function prior(list: readonly BackendConfig[]): PriorBackendConfig[] {
  return list.map((member) => ({ ...member, health: 'up' }));
}

function pool(list: readonly BackendConfig[], fields: Partial<PoolConfig> = {}): PoolConfig {
  return {
    name: 'web',
    tableSize: SLOTS,
    panicThreshold: 0,
    health: [],
    deadAfterMs: 300_000,
    settleMs: 300_000,
    drainDeadlineMs: 3_600_000,
    backends: list,
    prior: undefined,
    ...fields,
  };
}

/** As of two files. */
function planPool(
  before: PoolConfig,
  after: PoolConfig,
  isDrained: (backend: string) => boolean = () => false,
): PoolPlan {
  const facts = { ...NO_FACTS, isDrained };
  const [old, next] = [before, after].map((one) => statesOfConfig(one, undefined, facts));
  return planStates(old, next, after.settleMs);
}

function near(actual: number, expected: number, within: number): void {
  assert.ok(Math.abs(actual - expected) <= within, `${actual}, expected ${expected} within ${within}`);
}

test('a config that does not change moves nothing', () => {
  const plan = planPool(pool(backends(10)), pool(backends(10).reverse()));
  assert.equal(plan.moved.slots, 0);
  assert.deepEqual(plan.flows, [
    {
      born: 'in_force',
      tcpBreakWithoutSecondChance: 0,
      tcpBreakWithSecondChance: 0,
      tcpBreakOnceSettled: 0,
      udpMove: 0,
    },
  ]);
  assert.deepEqual(plan.evenness[0], plan.evenness[1]);
});

test('draining one of ten moves its tenth, unavoidably, and second chance keeps it', () => {
  const plan = planPool(
    pool(backends(10)),
    pool(backends(10, (i) => (i === 4 ? { state: 'draining' } : {}))),
  );
  near(plan.moved.slots, SLOTS / 10, 1);
  assert.deepEqual(plan.unavoidable, plan.moved);
  assert.equal(plan.collateral.slots, 0);
  near(plan.flows[0].tcpBreakWithoutSecondChance, 0.1, 0.001);
  assert.equal(plan.flows[0].udpMove, plan.flows[0].tcpBreakWithoutSecondChance);
  assert.equal(plan.flows[0].tcpBreakWithSecondChance, 0);
  assert.deepEqual([plan.evenness[0]?.backends, plan.evenness[1]?.backends], [10, 9]);
});

test('adding or removing a backend moves its share unavoidably, a little beside, and breaks nothing with second chance', () => {
  for (const [before, after, share] of [
    [10, 11, 1 / 11],
    [11, 10, 1 / 11],
  ]) {
    const plan = planPool(pool(backends(before)), pool(backends(after)));
    near(plan.unavoidable.share, share, 0.001);
    assert.ok(plan.collateral.slots > 0 && plan.collateral.share < 0.02, String(plan.collateral.share));
    near(plan.moved.slots, plan.unavoidable.slots + plan.collateral.slots, 1e-6);
    near(plan.flows[0].tcpBreakWithoutSecondChance, plan.moved.share, 1e-9);
    assert.equal(plan.flows[0].tcpBreakWithSecondChance, 0);
  }
});

test('slots that move from or to a backend of another weight are unavoidable', () => {
  const plan = planPool(pool(backends(4)), pool(backends(4, (i) => (i === 0 ? { weight: 2 } : {}))));
  assert.ok(plan.unavoidable.share > 0.1, String(plan.unavoidable.share));
  assert.equal(plan.flows[0].tcpBreakWithSecondChance, 0);
});

test('a backend with a new address is another machine: its slots go elsewhere under the same name, and second chance finds the old one', () => {
  const moved = backends(4, (i) => (i === 1 ? { address: parseAddress('10.9.9.9')!, id: 99 } : {}));
  const plan = planPool(pool(backends(4)), pool(moved));
  near(plan.moved.share, 0.25, 0.001);
  assert.equal(plan.collateral.slots, 0);
  const [{ tcpBreakWithoutSecondChance, tcpBreakWithSecondChance, udpMove }] = plan.flows;
  assert.equal(tcpBreakWithoutSecondChance, plan.moved.share);
  assert.deepEqual([tcpBreakWithSecondChance, udpMove], [0, tcpBreakWithoutSecondChance]);
});

test('a backend with a new name is the same machine: slots move where its address is another, and not where the name is', () => {
  const before = backends(3);
  const renamed = before.map((one, i): BackendConfig => (i === 1 ? { ...one, name: 'www' } : one));
  const plan = planPool(pool(before), pool(renamed));
  const owners = [before, renamed].map((list) => {
    const tables = resolvePool(statesOfConfig(pool(list)));
    return Array.from(
      tables.owners,
      (owner) => list.find(({ name }) => name === tables.names[owner])!.address.text,
    );
  });
  const elsewhere = owners[0].filter((address, slot) => address !== owners[1][slot]).length;
  assert.equal(plan.moved.slots, elsewhere);
  assert.ok(plan.moved.share > 0.2 && plan.moved.share < 0.45, String(plan.moved.share));
  assert.equal(plan.flows[0].tcpBreakWithSecondChance, 0);
  assert.equal(
    planPool(
      pool(before),
      pool(
        before.map((one) => one),
        { name: 'other' },
      ),
    ).moved.slots,
    0,
  );
});

test('an added backend breaks nothing at once, and a part of the connections that outlive the settle time; a drain none of them', () => {
  const added = planPool(pool(backends(4)), pool(backends(5))).flows[0];
  assert.equal(added.tcpBreakWithSecondChance, 0);
  const [before, after] = [4, 5].map((count) => resolvePool(statesOfConfig(pool(backends(count)))));
  let lost = 0;
  for (let slot = 0; slot < SLOTS; slot++) {
    const former = before.names[before.owners[slot]];
    const holders = [after.owners[slot], after.alternates[slot], after.alternates[SLOTS + slot]];
    if (!holders.some((index) => former === after.names[index])) lost++;
  }
  near(added.tcpBreakOnceSettled, lost / SLOTS, 1e-9);
  assert.ok(added.tcpBreakOnceSettled > 0.05, String(added.tcpBreakOnceSettled));
  const drained = backends(4, (i) => (i === 0 ? { state: 'draining' } : {}));
  assert.equal(planPool(pool(backends(4)), pool(drained)).flows[0].tcpBreakOnceSettled, 0);
});

test('what is down counts as down: of five with one failed, a drain moves a quarter, and what was born since stays too', () => {
  const up = statesOfConfig(pool(backends(5)));
  const failed = (i: number): Health => (i === 4 ? 'down' : 'up');
  const marked = (list: readonly BackendConfig[]) =>
    statesOfConfig(pool(list), ({ name }) => failed(Number(name.slice(4)))).state;
  const drained = backends(5, (i) => (i === 0 ? { state: 'draining' } : {}));
  const soon = planStates(
    { ...up, state: marked(backends(5)), remembered: [up.state] },
    { ...up, state: marked(drained), remembered: [marked(backends(5)), up.state] },
    300_000,
    [1000],
  );
  near(soon.moved.share, 0.25, 0.01);
  assert.deepEqual(
    soon.flows.map(({ born, bornUntil, tcpBreakWithSecondChance }) => [
      born,
      bornUntil,
      tcpBreakWithSecondChance,
    ]),
    [
      ['remembered', '1970-01-01T00:00:01.000Z', 0],
      ['in_force', undefined, 0],
    ],
  );
  const later = planStates({ ...up, state: marked(backends(5)) }, { ...up, state: marked(drained) }, 300_000);
  near(later.moved.share, 0.25, 0.01);
  assert.equal(later.flows[0].tcpBreakWithSecondChance, 0);
});

test('second chance needs an agent at the owner; of those without one a key names one, and it stands last', () => {
  const drained = (agents: (i: number) => boolean, ids: (i: number) => number = (i) => i + 1) =>
    planPool(
      pool(backends(3, (i) => ({ agent: agents(i), id: ids(i) }))),
      pool(backends(3, (i) => ({ agent: agents(i), id: ids(i), state: i === 0 ? 'draining' : 'active' }))),
    ).flows[0];
  const none = drained(() => false);
  assert.equal(none.tcpBreakWithSecondChance, none.tcpBreakWithoutSecondChance);
  assert.equal(drained((i) => i !== 0).tcpBreakWithSecondChance, 0);
  const oneHeirHasNone = drained((i) => i !== 1);
  near(oneHeirHasNone.tcpBreakWithSecondChance, oneHeirHasNone.tcpBreakWithoutSecondChance / 2, 0.01);
  const noId = drained(
    (i) => i !== 0,
    (i) => i,
  );
  assert.equal(noId.tcpBreakWithSecondChance, noId.tcpBreakWithoutSecondChance, 'no key can name it');
});

/** Of ten members, the first `drains` of which drain, and `more` that are added. */
function ten(drains: number, more: number): BackendConfig[] {
  return backends(10 + more, (i) => (i < drains ? { state: 'draining' } : {}));
}

test('a second change before the first has settled keeps all flows; a third counts those that it breaks, by age', () => {
  const states = [ten(0, 0), ten(0, 1), ten(0, 2), ten(0, 3)].map((list) => statesOfConfig(pool(list)));
  const [first, second, third, fourth] = states.map(({ state }) => state);
  const two = planStates(
    { ...states[1], remembered: [first] },
    { ...states[2], remembered: [second, first] },
    300_000,
  );
  assert.deepEqual(
    two.flows.map(({ born, tcpBreakWithSecondChance }) => [born, tcpBreakWithSecondChance]),
    [
      ['remembered', 0],
      ['in_force', 0],
    ],
  );
  near(two.flows[0].tcpBreakWithoutSecondChance, 0.18, 0.02);
  const three = planStates(
    { ...states[2], remembered: [second, first] },
    { ...states[2], state: fourth, remembered: [third, second, first] },
    300_000,
  );
  const [oldest, ...others] = three.flows.map((age) => age.tcpBreakWithSecondChance);
  assert.ok(oldest > 0 && oldest < 0.01, String(oldest));
  assert.deepEqual(others, [0, 0]);
});

test('flows left on a backend that drains are counted, also where two other changes take its alternates', () => {
  const same = planPool(pool(ten(1, 0)), pool(ten(1, 0)));
  assert.deepEqual(same.draining, { backends: ['web-0'], tcpBreakWithSecondChance: 0 });
  const { flows, draining } = planPool(pool(ten(1, 0)), pool(ten(1, 1)));
  assert.equal(flows[0].tcpBreakWithSecondChance, 0);
  assert.equal(draining!.tcpBreakWithSecondChance, 0, 'one other change is no harm');
  const third = planPool(pool(ten(1, 1), { prior: prior(ten(1, 0)) }), pool(ten(1, 2)));
  near(third.draining!.tcpBreakWithSecondChance, 0.02, 0.015);
  assert.equal(
    planPool(pool(ten(1, 0)), pool(ten(0, 0))).draining!.tcpBreakWithSecondChance,
    0,
    'it comes back',
  );
  const drained = planPool(pool(ten(1, 0)), pool(ten(1, 1)), () => true);
  assert.equal(drained.draining, undefined, 'nothing is left on it');
  const young = planPool(pool(ten(1, 0), { prior: prior(ten(0, 0)) }), pool(ten(1, 1)));
  assert.equal(young.draining, undefined, 'they are among those born before');
});

test('a prior state written in NEW takes the place of what OLD remembers', () => {
  const rested = pool(ten(0, 3), { prior: prior(ten(0, 2)) });
  const plan = planPool(pool(ten(0, 2), { prior: prior(ten(0, 0)) }), rested);
  assert.equal(plan.flows[1].tcpBreakWithSecondChance, 0);
  assert.ok(plan.flows[0].tcpBreakWithSecondChance > 0.01);
});

test('another table size moves nearly everything between unchanged backends', () => {
  const plan = planPool(pool(backends(10)), pool(backends(10), { tableSize: 655373 }));
  assert.deepEqual(plan.slots, [SLOTS, 655373]);
  near(plan.moved.share, 0.9, 0.01);
  assert.deepEqual(plan.unavoidable.slots, 0);
  near(plan.collateral.share, plan.moved.share, 1e-9);
  assert.ok(plan.flows[0].tcpBreakWithSecondChance > 0.7);
});

test('a pool that had no owner has no flows to break; one that loses all breaks all', () => {
  const nobody = backends(3, () => ({ weight: 0 }));
  const gained = planPool(pool(nobody), pool(backends(3)));
  assert.equal(gained.moved.share, 1);
  assert.deepEqual([gained.collateral.slots, gained.flows[0].tcpBreakWithoutSecondChance], [0, 0]);
  const lost = planPool(pool(backends(3)), pool([]));
  assert.deepEqual([lost.moved.share, lost.flows[0].tcpBreakWithSecondChance], [1, 1]);
  assert.deepEqual([lost.mode[1], lost.evenness[1]], ['none', undefined]);
  const forgotten = planPool(pool(backends(3)), pool([], { prior: prior([backend(9)]) }));
  assert.equal(forgotten.moved.share, 1);
});

test('any one change of a settled pool with agents breaks no TCP flow of a backend that keeps its address', () => {
  const member = fc.record({
    weight: fc.integer({ min: 0, max: 3 }),
    state: fc.constantFrom<BackendConfig['state']>('active', 'active', 'draining'),
  });
  fc.assert(
    fc.property(
      fc.array(member, { minLength: 1, maxLength: 8 }),
      fc.nat(),
      fc.option(member),
      (list, n, changed) => {
        const before = list.map((fields, i) => backend(i, fields));
        const at = n % before.length;
        const after = before.flatMap((old, i) =>
          i !== at ? [old] : changed === null ? [] : [{ ...old, ...changed }],
        );
        const plan = planPool(pool(before, { tableSize: 251 }), pool(after, { tableSize: 251 }));
        fc.pre(plan.mode[1] !== 'none');
        assert.equal(plan.flows[0].tcpBreakWithSecondChance, 0);
      },
    ),
  );
});
