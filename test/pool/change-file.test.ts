import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnyhopError } from '#anyhop/core/errors.js';
import { CHANGES_QUEUED_MAX } from '#anyhop/core/limits.js';
import { defaultId } from '#anyhop/packet/second-chance-key.js';
import { mark, type PoolChanges, plan, startChanges } from '#anyhop/pool/change.js';
import { readMemory, writeMemory } from '#anyhop/pool/change-file.js';
import { dueAtMs } from '#anyhop/pool/due.js';
import { memoryOf } from '#anyhop/pool/membership.js';
import { priorState } from '#anyhop/pool/states.js';
import { act, clocksAt, DRAIN_MS, history, member, memberList, SETTLE_MS } from './change-fixture.js';

function text(changes: PoolChanges): string {
  return writeMemory(new Map([['web', memoryOf(changes)]]), clocksAt(changes.nowMs));
}

/** Two members in force, another two before them, one that waits, one that is down. */
function busy(): PoolChanges {
  const start = startChanges({ members: [member('a'), member('b')] }, SETTLE_MS, 5000);
  const changed = plan(start, { members: [member('a'), member('c')] }, 5100);
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
  assert.deepEqual(priorState(read), prior);
  const without = plan(read, { members: read.members }, 5500);
  assert.deepEqual(
    priorState(without).map(({ name }) => name),
    ['a', 'b'],
  );
});

test('a backend and a pool may be named as a field is', () => {
  const [members, health] = [[member('address')], { address: 'down' as const }];
  const settling = plan(startChanges({ members: [member('b')] }, SETTLE_MS, 0), { members, health }, 1);
  const changes = plan(settling, { members: [member('c')], health }, 2);
  const memory = { ...memoryOf(changes), drainingSinceMs: { address: 1 } };
  const read = readMemory(writeMemory(new Map([['address', memory]]), clocksAt(2)), clocksAt(2));
  assert.deepEqual(JSON.parse(JSON.stringify(read.get('address'))), JSON.parse(JSON.stringify(memory)));
});

test('a file of the former version is read, with the ids that its backends have by their addresses', () => {
  const former = JSON.parse(text(busy()), (key, value) => (key === 'id' && value === 1 ? undefined : value));
  const { lastId, queue } = busy();
  for (const [i, { id }] of queue.entries()) former.pools.web.changes.queue[i].id = id;
  const read = readMemory(JSON.stringify({ ...former, version: 3 }), clocksAt(busy().nowMs)).get(
    'web',
  )!.changes;
  assert.deepEqual(
    read.members.map(({ id }) => id),
    read.members.map(({ address }) => defaultId(address)),
  );
  assert.equal(read.lastId, lastId);
});

test('a clock that was set back makes nothing settle later than it would have', () => {
  const read = readMemory(text(busy()), clocksAt(300)).get('web')!.changes;
  assert.equal(read.nowMs, 300);
  assert.equal(read.past[0].untilMs, 100);
  assert.deepEqual(
    dueAtMs(read, DRAIN_MS),
    dueAtMs(busy(), DRAIN_MS).map((at) => at - 5000),
  );
});

test('a file that is cut short, altered, or of another version is refused with the field that is wrong', () => {
  const written = (name: string) => ({ ...member(name), address: '192.0.2.1' });
  const good = JSON.parse(text(busy()));
  const altered = (change: (web: Record<string, never>) => void): string => {
    const copy = structuredClone(good);
    change(copy.pools.web.changes);
    return JSON.stringify(copy);
  };
  const cases: [string, RegExp][] = [
    ['', /cannot be used: .*JSON/],
    ['null', /the file/],
    [text(busy()).slice(0, -20), /JSON/],
    [JSON.stringify({ ...good, version: 2 }), /version/],
    [altered((web) => Object.assign(web, { settleMs: 0 })), /pools\.web\.changes\.settleMs/],
    [altered((web) => Object.assign(web, { nowMs: 1 })), /time after the last one/],
    [altered((web) => Object.assign(web, { extra: 1 })), /extra/],
    [altered((web) => Object.assign(web, { marks: [] })), /marks/],
    [altered((web) => Object.assign(web, { lastId: 0 })), /ids of queued changes/],
    [altered((web) => Object.assign(web, { members: [written('a'), written('a')] })), /members.*twice/],
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
  for (let i = 0; i <= CHANGES_QUEUED_MAX; i++) changes = plan(changes, numbered(i + 2), 0);
  assert.equal(changes.queue.length, CHANGES_QUEUED_MAX);
  assert.throws(() => plan(changes, numbered(100), 0), { code: 'ERR_LIMIT' });
  assert.equal(plan(changes, numbered(5), 0).queue.length, 3);
  assert.equal(plan(changes, numbered(2), 0).queue.length, 0, 'back to what is in force');
});
