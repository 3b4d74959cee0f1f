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
    health: undefined,
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
      born: 'before',
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
  const moved = backends(4, (i) => (i === 1 ? { address: parseAddress('10.9.9.9')! } : {}));
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
    const found = [after.owners[slot], after.alternates[slot], after.alternates[SLOTS + slot]];
    if (!found.map((index) => after.names[index]).includes(former)) lost++;
  }
  near(added.tcpBreakOnceSettled, lost / SLOTS, 1e-9);
  assert.ok(added.tcpBreakOnceSettled > 0.05, String(added.tcpBreakOnceSettled));
  const drained = backends(4, (i) => (i === 0 ? { state: 'draining' } : {}));
  assert.equal(planPool(pool(backends(4)), pool(drained)).flows[0].tcpBreakOnceSettled, 0);
});

test('what is down counts as down: of five with one failed, a drain moves a quarter, and what was born since is kept too', () => {
  const up = statesOfConfig(pool(backends(5)));
  const failed = (i: number): Health => (i === 4 ? 'down' : 'up');
  const marked = (list: readonly BackendConfig[]) =>
    statesOfConfig(pool(list), ({ name }) => failed(Number(name.slice(4)))).state;
  const drained = backends(5, (i) => (i === 0 ? { state: 'draining' } : {}));
  const soon = planStates(
    { ...up, state: marked(backends(5)), remembered: [up.state] },
    { ...up, state: marked(drained), remembered: [up.state] },
    300_000,
  );
  near(soon.moved.share, 0.25, 0.01);
  assert.deepEqual(
    soon.flows.map(({ born }) => born),
    ['before', 'between'],
  );
  assert.deepEqual(
    soon.flows.map(({ tcpBreakWithSecondChance }) => tcpBreakWithSecondChance),
    [0, 0],
  );
  const later = planStates({ ...up, state: marked(backends(5)) }, { ...up, state: marked(drained) }, 300_000);
  near(later.moved.share, 0.25, 0.01);
  assert.equal(later.flows[0].tcpBreakWithSecondChance, 0);
});

test('second chance needs an agent at the new owner; a former owner without one gets the packets without a key', () => {
  const drained = (agents: (i: number) => boolean) =>
    planPool(
      pool(backends(3, (i) => ({ agent: agents(i) }))),
      pool(backends(3, (i) => ({ agent: agents(i), state: i === 0 ? 'draining' : 'active' }))),
    ).flows[0];
  const none = drained(() => false);
  assert.equal(none.tcpBreakWithSecondChance, none.tcpBreakWithoutSecondChance);
  const formerHasNone = drained((i) => i !== 0);
  assert.ok(formerHasNone.tcpBreakWithoutSecondChance > 0.3);
  assert.equal(formerHasNone.tcpBreakWithSecondChance, 0);
  // Down the stack stands one without an agent too, and a second one is never reached.
  const onlyOneHas = drained((i) => i === 1);
  near(onlyOneHas.tcpBreakWithSecondChance, onlyOneHas.tcpBreakWithoutSecondChance / 2, 0.01);
  const oneHeirHasNone = drained((i) => i !== 1);
  near(oneHeirHasNone.tcpBreakWithSecondChance, oneHeirHasNone.tcpBreakWithoutSecondChance / 2, 0.01);
});

test('a second change before the first has settled keeps the flows older than both, and counts those between', () => {
  const settled = backends(5);
  const drained = backends(5, (i) => (i === 0 ? { state: 'draining' } : {}));
  const both = drained.filter((_, i) => i !== 1);
  const plan = planPool(pool(drained, { prior: prior(settled) }), pool(both));
  assert.deepEqual(
    plan.flows.map((age) => age.born),
    ['before', 'between'],
  );
  assert.equal(plan.flows[0].tcpBreakWithSecondChance, 0);
  // Slots of web-0 that went to web-1 and went on: their alternate is web-0, and web-1 is forgotten.
  near(plan.flows[1].tcpBreakWithSecondChance, 0.05, 0.02);
  near(plan.flows[0].tcpBreakWithoutSecondChance, 0.4, 0.02);
  assert.deepEqual(planPool(pool(drained), pool(both)).flows.length, 1);
});

test('flows left on a backend that drains are counted, where two other changes take their alternates', () => {
  const drained = backends(5, (i) => (i === 0 ? { state: 'draining' } : {}));
  const other = drained.map((one, i): BackendConfig => (i === 1 ? { ...one, state: 'draining' } : one));
  const same = planPool(pool(drained), pool(drained));
  assert.deepEqual(same.draining, { backends: ['web-0'], tcpBreakWithSecondChance: 0 });
  const { flows, draining } = planPool(pool(drained), pool(other));
  assert.equal(flows[0].tcpBreakWithSecondChance, 0);
  assert.equal(draining!.tcpBreakWithSecondChance, 0, 'one other change takes one alternate');
  const third = other.map((one, i): BackendConfig => (i === 2 ? { ...one, state: 'draining' } : one));
  const [one, two, three] = [drained, other, third].map((list) => statesOfConfig(pool(list)));
  const both = planStates(
    { ...two, remembered: [one.state] },
    { ...three, remembered: [two.state, one.state] },
    300_000,
  );
  // Where web-1 stands beside web-0 at the top of the stack, and web-2 next, these two are the alternates now: 2/60 of all slots,
  // and web-0 owned a quarter of all with web-1 gone.
  near(both.draining!.tcpBreakWithSecondChance, 2 / 15, 0.01);
  assert.equal(
    planPool(pool(drained), pool(backends(5))).draining!.tcpBreakWithSecondChance,
    0,
    'it comes back',
  );
  assert.equal(planPool(pool(drained), pool(other), () => true).draining, undefined, 'nothing is left on it');
  const young = planPool(pool(drained, { prior: prior(backends(5)) }), pool(other));
  assert.equal(young.draining, undefined, 'they are among those born before');
});

test('a prior state written in NEW comes before the one in OLD', () => {
  const settled = backends(5, (i) => (i === 4 ? { weight: 0 } : {}));
  const drained = backends(5, (i) => (i === 0 ? { state: 'draining' } : {}));
  const both = backends(5, (i) => (i <= 1 ? { state: 'draining' } : {}));
  const old = pool(drained, { prior: prior(settled) });
  const shares = (next: PoolConfig) =>
    planPool(old, next).flows.map(({ tcpBreakWithSecondChance }) => tcpBreakWithSecondChance);
  const [former, since] = shares(pool(both, { prior: prior(drained) }));
  assert.equal(since, 0);
  assert.ok(former > 0.01);
  assert.equal(shares(pool(both))[0], 0);
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
