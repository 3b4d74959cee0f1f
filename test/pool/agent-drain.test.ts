/** Drains that agents ask for, beside what the file and the operator say: independent of each other, and bounded in the queue. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { drainSources, unheard } from '#anyhop/pool/agent-drain.js';
import { readMemory, writeMemory } from '#anyhop/pool/change-file.js';
import { effects, queuedSteps, stepId } from '#anyhop/pool/effects.js';
import {
  type Membership,
  NO_POOLS,
  type PoolMembership,
  passTime,
  take,
  takeHolds,
} from '#anyhop/pool/membership.js';
import { askedByAgents, bringForward, cancel, hear, say } from '#anyhop/pool/runtime.js';
import { statesOf } from '#anyhop/pool/states.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import { NODE, parse, SERVICES } from '../config/fixture.js';
import { clocksAt } from './change-fixture.js';

type State = 'active' | 'draining';
const NAMES = ['a', 'b', 'c', 'd'] as const;
const SETTLE_MS = 1_000;
const addressOf = (name: string): string => `10.1.0.${'_abcd'.indexOf(name)}`;

function fileOf(
  states: Readonly<Partial<Record<string, State>>> = {},
  names: readonly string[] = NAMES,
  without = '',
) {
  const lines = names.map(
    (name) =>
      `{name: ${name}, address: ${addressOf(name)}, state: ${states[name] ?? 'active'}, agent: ${name !== without}}`,
  );
  return parse(
    `${NODE}pools:
  web: {table_size: 251, settle_time: 1s, backends: [${lines.join(', ')}]}
  dns: {table_size: 251, backends: [{name: a, address: ${addressOf('a')}}]}
${SERVICES}`,
    'run',
  ).pools;
}

const start = (files = fileOf()): Membership => take(NO_POOLS, files, { force: false, nowMs: 0 });
const words = (...asks: readonly string[]) =>
  new Map(NAMES.map((name) => [addressOf(name), asks.includes(name)]));
const web = (pools: Membership): PoolMembership => pools.get('web')!;
const draining = (list: PoolMembership['changes']['members']): string =>
  list.flatMap(({ name, state }) => (state === 'draining' ? [name] : [])).join('');
const inForce = (pools: Membership): string => draining(web(pools).changes.members);
const inTheEnd = (pools: Membership): string =>
  draining(web(pools).changes.queue.at(-1)?.members ?? web(pools).changes.members);
const waiting = (pools: Membership): string[] =>
  queuedSteps(web(pools)).map(({ changes }) => changes.join('; '));
/** Two changes are open, so that others wait. */
const busy = (): Membership =>
  [4, 5].reduce((pools, weight) => say(pools, 'web', 'd', { weight }, { nowMs: 0, force: false }), start());

describe('a drain that an agent asks for', () => {
  test('is in force in every pool that has the address, says by whom, and ends when the agent asks no longer', () => {
    const before = start();
    const asked = hear(before, words('a'), { nowMs: 1 });
    assert.equal(inForce(asked), 'a');
    assert.equal(asked.get('dns')!.changes.members[0].state, 'draining');
    assert.deepEqual(drainSources(web(asked), 'a'), ['agent']);
    assert.deepEqual(
      effects(before, asked).map(({ effect, changes }) => `${effect} ${changes.join()}`),
      Array(2).fill('in_force a state active -> draining (asked by its agent)'),
    );
    assert.equal(hear(asked, words('a'), { nowMs: 2 }), asked, 'the same word again changes nothing');
    assert.deepEqual(web(asked).overrides, [], 'it is not the operator that says so');
    const ended = hear(asked, words(), { nowMs: 2 });
    assert.equal(inForce(ended), '');
    assert.deepEqual(
      effects(asked, ended).map(({ changes }) => changes.join()),
      Array(2).fill('a state draining -> active (its agent asks no longer)'),
    );
    assert.deepEqual(web(ended).agentDrains, []);
  });

  test('is no word on other addresses, on backends without an agent, or of an agent that was not asked', () => {
    const plain = start(fileOf({}, NAMES, 'b'));
    const stranger = new Map([
      ['10.9.9.9', true],
      [addressOf('b'), true],
    ]);
    assert.equal(hear(plain, stranger, { nowMs: 1 }), plain);
    assert.equal(unheard(plain, stranger).size, 0);
    const asked = hear(start(), words('b'), { nowMs: 1 });
    assert.equal(hear(asked, new Map(), { nowMs: 2 }), asked, 'no answer changes nothing');
    const withoutAgent = take(asked, fileOf({}, NAMES, 'b'), { force: true, nowMs: 2 });
    assert.equal(inForce(withoutAgent), '', 'the operator can end it for good');
    const moved = fileOf({}, ['a', 'c', 'd']);
    assert.deepEqual(web(take(asked, moved, { force: true, nowMs: 2 })).agentDrains, []);
  });

  test('of many hosts at once takes one place in the queue, and so does a host that changes its mind', () => {
    let pools = busy();
    for (const asks of ['a', 'ab', 'abc', 'abcd', 'bcd', 'abcd']) {
      pools = hear(pools, words(...asks), { nowMs: 1 });
      assert.equal(inTheEnd(pools), asks);
      assert.equal(web(pools).changes.queue.length, 1);
    }
    const states = [...'abcd'].map((name) => `${name} state active -> draining (asked by its agent)`);
    assert.deepEqual(waiting(pools), [states.join(', ')]);
    const [id] = web(pools).changes.queue.map((step) => stepId('web', step));
    assert.deepEqual(askedByAgents(pools, id!), ['a', 'b', 'c', 'd']);
    for (let i = 0; i < 200; i++)
      pools = hear(pools, words(...(i % 2 === 0 ? 'bcd' : 'abcd')), { nowMs: 2 + i });
    assert.equal(web(pools).changes.queue.length, 1);
  });

  test('that waits beside what the operator asked for is told from it, and planned anew when that is cancelled', () => {
    let pools = say(busy(), 'web', 'a', { state: 'draining' }, { nowMs: 1, force: false });
    assert.deepEqual(waiting(pools), ['a state active -> draining']);
    pools = hear(pools, words('a', 'b'), { nowMs: 2 });
    assert.equal(inTheEnd(pools), 'ab');
    const id = stepId('web', web(pools).changes.queue[0]!);
    assert.deepEqual(askedByAgents(pools, id), [], 'not by agents alone');
    pools = cancel(pools, id, { nowMs: 3 });
    assert.deepEqual(
      web(pools).overrides.map(({ backend }) => backend),
      ['d'],
    );
    assert.equal(inTheEnd(pools), 'ab');
    assert.match(waiting(pools).join(), /^a state active -> draining \(asked by its agent\), b state/);
  });

  test('leaves nobody without a backend: where all drain, those that drain go on with new flows', () => {
    const pools = hear(start(), words(...NAMES), { nowMs: 1 });
    assert.equal(inForce(pools), 'abcd');
    const { file, changes } = web(pools);
    const { mode, owners, names } = resolvePool(statesOf(file, changes));
    assert.equal(mode, 'draining');
    assert.deepEqual(new Set(Array.from(owners, (owner) => names[owner])), new Set(NAMES));
  });

  test('is remembered over a restart, and files of the version before are read without one', () => {
    const pools = hear(start(), words('a'), { nowMs: 1 });
    const text = writeMemory(pools, clocksAt(1));
    const read = readMemory(text, clocksAt(1));
    assert.deepEqual(read.get('web')!.agentDrains, [{ address: addressOf('a'), isAsked: true }]);
    const restarted = take(NO_POOLS, fileOf(), { force: false, nowMs: 2, memory: read });
    assert.equal(inForce(restarted), 'a');
    assert.equal(unheard(restarted, words('a')).size, 0);
    assert.deepEqual([...unheard(restarted, words())], [addressOf('a')]);
    const contents = JSON.parse(text);
    const { agentDrains: _, ...former } = contents.pools.web;
    const before = { ...contents, version: 5, pools: { web: former } };
    assert.deepEqual(readMemory(JSON.stringify(before), clocksAt(1)).get('web')!.agentDrains, []);
    for (const wrong of [
      [{ address: 'a', isAsked: true }],
      [{ address: '10.1.0.01', isAsked: true }],
      [{ address: addressOf('a'), isAsked: 1 }],
      [addressOf('a'), addressOf('a')].map((address) => ({ address, isAsked: true })),
      {},
    ]) {
      const broken = { ...contents, pools: { web: { ...contents.pools.web, agentDrains: wrong } } };
      assert.throws(() => readMemory(JSON.stringify(broken), clocksAt(1)), { code: 'ERR_STATE_FILE' });
    }
  });
});

const name = fc.constantFrom(...NAMES);
const state = fc.constantFrom<State[]>('active', 'draining');
const action = fc.oneof(
  fc.record({ kind: fc.constant('say' as const), name, state, force: fc.boolean() }),
  fc.record({ kind: fc.constant('agent' as const), name, isAsked: fc.boolean() }),
  fc.record({ kind: fc.constant('agent' as const), name, isAsked: fc.boolean() }),
  fc.record({
    kind: fc.constant('reload' as const),
    states: fc.dictionary(name, state),
    force: fc.boolean(),
  }),
  fc.record({ kind: fc.constantFrom('cancel' as const, 'force' as const), at: fc.nat(2) }),
  fc.record({ kind: fc.constant('hold' as const), names: fc.subarray<string>([...NAMES]) }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 1500 }) }),
);

test('whatever comes in whatever order, a backend ends up draining while its agent, or else the operator or the file, says so', () => {
  const withoutAgents = (pool: PoolMembership): readonly string[] =>
    NAMES.filter((one) => drainSources(pool, one).some((source) => source !== 'agent'));
  let taken = 0;
  let refused = 0;
  let waited = 0;
  fc.assert(
    fc.property(fc.array(action, { maxLength: 25, size: 'max' }), (actions) => {
      let nowMs = 0;
      let pools = busy();
      /** What the file and the operator want, and what each agent said last. */
      let file = new Map<string, State>(NAMES.map((each) => [each, 'active']));
      const said = new Map<string, State>();
      const asks = new Set<string>();
      for (const each of actions) {
        const at = { nowMs, force: false };
        if (each.kind === 'time') {
          nowMs += each.ms;
          pools = passTime(pools, nowMs);
        } else if (each.kind === 'hold') {
          const list = each.names.map((held) => ({ name: held, untilMs: 1e12 }));
          pools = takeHolds(pools, (pool) => (pool === 'web' ? list : []), nowMs);
        } else if (each.kind === 'say') {
          pools = say(pools, 'web', each.name, { state: each.state }, { nowMs, force: each.force });
          said.set(each.name, each.state);
        } else if (each.kind === 'agent') {
          pools = hear(pools, new Map([[addressOf(each.name), each.isAsked]]), at);
          if (each.isAsked) asks.add(each.name);
          else asks.delete(each.name);
        } else if (each.kind === 'reload') {
          pools = take(pools, fileOf(each.states), { nowMs, force: each.force });
          file = new Map(NAMES.map((one) => [one, each.states[one] ?? 'active']));
        } else {
          const step = web(pools).changes.queue[each.at];
          if (step === undefined) continue;
          const id = stepId('web', step);
          if (each.kind === 'force') pools = bringForward(pools, id, at);
          else if (askedByAgents(pools, id).length > 0) refused++;
          else {
            const before = web(pools);
            pools = cancel(pools, id, at);
            for (const { address } of before.agentDrains) {
              const one = NAMES.find((each) => addressOf(each) === address)!;
              if ([before, web(pools)].every((pool) => !withoutAgents(pool).includes(one))) taken++;
              else assert.ok(withoutAgents(before).includes(one), `${one} drains by its agent alone`);
            }
            // What file and operator say is as if the change had never been asked for.
            for (const { name: one, state: now } of web(pools).file.backends) file.set(one, now);
            said.clear();
            for (const { backend, state: now } of web(pools).overrides)
              if (now !== undefined) said.set(backend, now);
          }
        }
        for (const [one, now] of said) if (file.get(one) === now) said.delete(one);
        const wanted = NAMES.filter(
          (one) => asks.has(one) || (said.get(one) ?? file.get(one)) === 'draining',
        );
        assert.equal(inTheEnd(pools), wanted.join(''));
        const { overrides, agentDrains, file: kept } = web(pools);
        assert.deepEqual(
          kept.backends.map((one) => [one.name, one.state]),
          [...file],
          "an agent's word is not taken for the file's",
        );
        const states = overrides.flatMap(({ backend, state: now }) =>
          now === undefined ? [] : [[backend, now]],
        );
        assert.deepEqual(states.sort(), [...said].sort());
        assert.deepEqual(
          agentDrains.flatMap(({ address, isAsked }) => (isAsked ? [address] : [])),
          NAMES.filter((one) => asks.has(one)).map(addressOf),
        );
        if (web(pools).changes.queue.length > 0) waited++;
      }
      pools = takeHolds(pools, () => [], nowMs);
      for (let i = 0; i <= actions.length; i++) {
        nowMs += SETTLE_MS;
        pools = passTime(pools, nowMs);
      }
      assert.equal(inForce(pools), inTheEnd(pools), 'in the end nothing waits');
      assert.ok(
        web(pools).agentDrains.every(({ isAsked }) => isAsked),
        'and nobody is remembered who asks no longer',
      );
    }),
    { numRuns: 500 },
  );
  assert.ok(refused > 0 && waited > 100 && taken > 0, `${refused} refused, ${waited} waited, ${taken} taken`);
});
