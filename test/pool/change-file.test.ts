import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnyhopError } from '#anyhop/core/errors.js';
import { CHANGES_QUEUED_MAX } from '#anyhop/core/limits.js';
import { advance, type PoolChanges, plan, startChanges } from '#anyhop/pool/change.js';
import { readMemory, writeMemory } from '#anyhop/pool/change-file.js';
import { dueAtMs } from '#anyhop/pool/due.js';
import { memoryOf } from '#anyhop/pool/membership.js';
import { formerMembers, rememberedStates } from '#anyhop/pool/states.js';
import { act, clocksAt, DRAIN_MS, history, mark, member, memberList, SETTLE_MS } from './change-fixture.js';

function text(changes: PoolChanges): string {
  return writeMemory(new Map([['web', memoryOf(changes)]]), clocksAt(changes.nowMs));
}

/** Two members in force, others before them, one that waits, one that is down. */
function busy(): PoolChanges {
  const start = startChanges({ members: [member('a'), member('b')] }, SETTLE_MS, 5000);
  const heavier = plan(start, { members: [member('a'), member('b', { weight: 2 })] }, 5050);
  const changed = plan(heavier, { members: [member('a'), member('c')] }, 5100);
  return mark(plan(changed, { members: [member('c')] }, 5200), 'a', 'down', 5300);
}

test('whatever happened to a pool is read back as it was written', () => {
  fc.assert(
    fc.property(memberList, history, (members, steps) => {
      let changes = startChanges({ members }, SETTLE_MS, 0);
      for (const { afterMs, action } of steps) changes = act(changes, action, changes.nowMs + afterMs);
      const read = readMemory(text(changes), clocksAt(changes.nowMs)).get('web')!.changes;
      assert.equal(text(read), text(changes));
    }),
  );
});

test('a prior state that the config names comes before what is remembered, and survives a restart', () => {
  const prior = [{ ...member('z'), health: 'down' as const }];
  const changes = plan(busy(), { members: busy().members, prior }, 5400);
  const read = readMemory(text(changes), clocksAt(5400)).get('web')!.changes;
  assert.deepEqual(rememberedStates(read), [prior]);
  const without = plan(read, { members: read.members }, 5500);
  assert.deepEqual(
    rememberedStates(without).map((state) => state.map(({ name, weight }) => `${name}${weight}`).join(' ')),
    ['a1 c1', 'a1 b2', 'a1 b1'],
  );
});

test('a backend and a pool may be named as a field is', () => {
  const [members, health] = [[member('address')], { address: { health: 'down' } } as const];
  let changes = startChanges({ members: [member('b')] }, SETTLE_MS, 0);
  changes = plan(changes, { members }, 1, health);
  changes = plan(changes, { members: [member('c')] }, 2);
  changes = plan(changes, { members: [member('b')] }, 2);
  const memory = { ...memoryOf(changes), drainingSinceMs: { address: 1 } };
  const read = readMemory(writeMemory(new Map([['address', memory]]), clocksAt(2)), clocksAt(2));
  assert.deepEqual(JSON.parse(JSON.stringify(read.get('address'))), JSON.parse(JSON.stringify(memory)));
});

/** As the former version wrote it: `b` drains since a moment ago, `c` waits, and `a` was down for longer than it has been up. */
function former(fields: object = {}) {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => ({
    name,
    address: `10.1.0.${name.charCodeAt(0)}`,
    weight: 1,
    state: 'active',
    agent: true,
  }));
  const drained = [a, { ...b, state: 'draining' }];
  return {
    clocks: { nowMs: 5300, wallMs: 5300 },
    pools: {
      web: {
        overrides: [],
        drainingSinceMs: { b: 5100 },
        changes: {
          settleMs: SETTLE_MS,
          nowMs: 5300,
          members: drained,
          past: [{ members: [a, b], untilMs: 5100 }],
          marks: [
            { name: 'a', health: 'up', sinceMs: 5200, rested: 'down' },
            { name: 'b', health: 'up', sinceMs: 4000, rested: 'up' },
            { name: 'c', health: 'down', sinceMs: 5200, rested: 'down' },
          ],
          queue: [{ id: 7, members: [...drained, c], health: { c: 'down' }, plannedAtMs: 5200 }],
          lastId: 7,
          holds: [{ name: 'b', untilMs: 9000 }],
          ...fields,
        },
      },
    },
  };
}

test('files of former versions are read: past members with their settled marks are remembered states, and what settles is open', () => {
  for (const version of [3, 4]) {
    const read = readMemory(JSON.stringify({ ...former(), version }), clocksAt(5300)).get('web')!.changes;
    assert.deepEqual(
      rememberedStates(read).map((state) =>
        state.map(({ name, state: admin, health }) => `${name} ${admin} ${health}`).join(', '),
      ),
      ['a active down, b draining up', 'a active down, b active up'],
    );
    assert.deepEqual(
      read.remembered.map(({ untilMs }) => untilMs),
      [5300, 5100],
    );
    assert.deepEqual(read.planned, [{ atMs: 5100, drains: ['b'] }]);
    assert.deepEqual(
      read.marks.map(({ name, health }) => `${name} ${health}`),
      ['a up', 'b up', 'c down'],
    );
    assert.deepEqual([read.queue[0].id, read.lastId, read.members[0].id], [7, 7, 0x61]);
    assert.equal(advance(read, 5301).members.length, 3, 'one change is open, so the next one comes');
  }
  const broken = { ...former({ marks: [] }), version: 4 };
  assert.throws(() => readMemory(JSON.stringify(broken), clocksAt(5300)), { code: 'ERR_STATE_FILE' });
});

test('members and lists of members are written once, however many states have them', () => {
  const thousand = Array.from({ length: 1000 }, (_, i) => member(`b${1000 + i}`));
  let changes = startChanges({ members: thousand }, SETTLE_MS, 0);
  const alone = text(changes).length;
  for (let i = 0; i < 8; i++) changes = mark(changes, `b${1000 + i}`, 'down', 10 + i);
  assert.equal(changes.remembered.length, 8);
  assert.ok(text(changes).length - alone < 2000, `${text(changes).length - alone} characters more`);
  const { members, remembered } = readMemory(text(changes), clocksAt(20)).get('web')!.changes;
  assert.ok(remembered.every((one) => one.members === members));
  assert.equal(formerMembers(changes).length, 0);
});

test('a clock that was set back makes nothing settle later than it would have', () => {
  const read = readMemory(text(busy()), clocksAt(300)).get('web')!.changes;
  assert.equal(read.nowMs, 300);
  assert.deepEqual(
    read.remembered.map(({ untilMs }) => untilMs),
    [300, 100, 50],
  );
  assert.deepEqual(
    dueAtMs(read, DRAIN_MS),
    dueAtMs(busy(), DRAIN_MS).map((at) => at - 5000),
  );
});

interface Altered {
  remembered: object[];
  marks: object[];
}

test('a file that is cut short, altered, or of another version is refused with the field that is wrong', () => {
  const written = (name: string) => ({ ...member(name), address: '192.0.2.1' });
  const good = JSON.parse(text(busy()));
  const altered = (change: (web: Altered) => void): string => {
    const copy = structuredClone(good);
    change(copy.pools.web.changes);
    return JSON.stringify(copy);
  };
  const cases: [string, RegExp][] = [
    ['', /cannot be used: .*JSON/],
    ['null', /the file/],
    [text(busy()).slice(0, -20), /JSON/],
    [JSON.stringify({ ...good, version: 2 }), /version/],
    [JSON.stringify({ ...good, version: 4 }), /settleMs|members|past|lists/],
    [altered((web) => Object.assign(web, { settleMs: 0 })), /pools\.web\.changes\.settleMs/],
    [altered((web) => Object.assign(web, { nowMs: 1 })), /time after the last one/],
    [altered((web) => Object.assign(web, { extra: 1 })), /extra/],
    [altered((web) => Object.assign(web, { marks: [] })), /marks/],
    [altered((web) => Object.assign(web, { lastId: 0 })), /ids of queued changes/],
    [altered((web) => Object.assign(web, { lists: [[0, 0]] })), /list of members/],
    [altered((web) => Object.assign(web, { lists: [[9]] })), /list of members/],
    [altered((web) => Object.assign(web, { lists: [] })), /lists/],
    [altered((web) => Object.assign(web.remembered[0], { list: 9 })), /list of members/],
    [altered((web) => Object.assign(web.remembered[0], { down: ['x'] })), /marks of no member/],
    [altered((web) => Object.assign(web.remembered[0], { untilMs: 5000 })), /out of order/],
    [altered((web) => Object.assign(web.marks[0], { health: 'up', unreachable: true })), /cannot be reached/],
    [altered((web) => Object.assign(web, { members: [written('../a')] })), /members\.0\.name/],
    [altered((web) => Object.assign(web, { members: [{ ...written('a'), address: '10.1' }] })), /address/],
    [altered((web) => Object.assign(web, { members: [{ ...written('a'), weight: -1 }] })), /weight/],
    [altered((web) => Object.assign(web, { members: [{ ...written('a'), id: 32768 }] })), /id/],
  ];
  for (const [contents, expected] of cases) {
    assert.throws(
      () => readMemory(contents, clocksAt(6000)),
      (error) =>
        error instanceof AnyhopError && error.code === 'ERR_STATE_FILE' && expected.test(error.message),
      contents.slice(0, 200),
    );
  }
});

test('a file altered in any one place is read or refused, never half taken', () => {
  const whole = text(busy());
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.string({ maxLength: 3 }), fc.nat(9), (at, insert, cut) => {
      const contents = whole.slice(0, at) + insert + whole.slice(at + cut);
      try {
        for (const { changes } of readMemory(contents, clocksAt(6000)).values()) {
          act(act(changes, { kind: 'mark', name: 'a', health: 'up' }, 6001), { kind: 'restart' }, 9000);
        }
      } catch (error) {
        assert.ok(error instanceof AnyhopError && error.code === 'ERR_STATE_FILE', String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('a queue has an end, and going back to a config drops what was queued after it', () => {
  const numbered = (count: number) => ({
    members: Array.from({ length: count }, (_, i) => member(`b${1000 + i}`)),
  });
  let changes = startChanges(numbered(1), SETTLE_MS, 0);
  for (let i = 0; i <= CHANGES_QUEUED_MAX + 1; i++) changes = plan(changes, numbered(i + 2), 0);
  assert.equal(changes.queue.length, CHANGES_QUEUED_MAX);
  assert.throws(() => plan(changes, numbered(100), 0), { code: 'ERR_LIMIT' });
  assert.equal(plan(changes, numbered(5), 0).queue.length, 2);
  assert.equal(plan(changes, numbered(3), 0).queue.length, 0, 'back to what is in force');
});
