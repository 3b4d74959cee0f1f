/** When a drain is done: with its connections, as agents report them, or at its deadline. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '#anyhop/core/log.js';
import { Drains } from '#anyhop/node/drains.js';
import { type Membership, NO_POOLS, take } from '#anyhop/pool/membership.js';
import { say } from '#anyhop/pool/runtime.js';
import { NODE, parse } from '../config/fixture.js';

const FILE = parse(
  `${NODE}pools:
  web: {drain_deadline: 10s, backends: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2},
    {name: plain, address: 10.1.0.3, agent: false}]}
  dns: {backends: [{name: a, address: 10.1.0.1}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: admin, vip: 203.0.113.10, protocol: tcp, port: 8080, pool: web}
  - {name: dns, vip: 203.0.113.53, protocol: udp, port: 53, pool: dns}
`,
  'run',
);
const START_MS = 50_000;
const NONE_LEFT = new Map(Object.entries({ web: 0, admin: 0, other: 7 }));

/** Drains with an agent that has so many connections, or does not answer. */
function bench() {
  const counts = new Map<string, ReadonlyMap<string, number> | Error>();
  const asked: string[] = [];
  let nowMs = START_MS;
  let pools: Membership = take(NO_POOLS, FILE.pools, { force: false, nowMs });
  let changes = 0;
  const drains = new Drains({
    log: createLog('silent'),
    now: () => nowMs,
    count: async (address) => {
      asked.push(address);
      const answer = counts.get(address) ?? new Error('no agent');
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  drains.onChange(() => {
    changes++;
  });
  return {
    drains,
    counts,
    asked,
    changes: () => changes,
    again: () => drains.follow(pools, FILE.services),
    wait: (ms: number) => {
      nowMs += ms;
    },
    async set(pool: string, backend: string, state: 'active' | 'draining') {
      pools = say(pools, pool, backend, { state }, { force: true, nowMs });
      drains.follow(pools, FILE.services);
      await drains.poll();
    },
  };
}

describe('a drain', () => {
  it('is done once the agent has no connection to any TCP service of the pool, other services aside', async () => {
    const { drains, counts, set, changes, wait } = bench();
    counts.set('10.1.0.1', new Map(Object.entries({ web: 3, admin: 2, other: 7 })));
    await set('web', 'a', 'draining');
    assert.deepEqual(drains.status('web', 'a'), {
      since: new Date(START_MS).toISOString(),
      deadline: new Date(START_MS + 10_000).toISOString(),
      connections: 5,
      done: false,
    });
    counts.set('10.1.0.1', NONE_LEFT);
    await drains.poll();
    assert.equal(drains.status('web', 'a')!.connections, 0);
    assert.equal(drains.status('web', 'a')!.done, false, 'the count may be from before');
    assert.equal(drains.isDrained('web', 'a'), false);
    wait(2_000);
    await drains.poll();
    assert.equal(drains.status('web', 'a')!.done, true);
    assert.equal(drains.status('web', 'b'), undefined);
    assert.equal(drains.isDrained('web', 'a'), true);
    assert.equal(changes(), 1);
    await drains.poll();
    assert.equal(changes(), 1);
    counts.delete('10.1.0.1');
    wait(2_000);
    await drains.poll();
    assert.equal(drains.isDrained('web', 'a'), true, 'an agent that restarts brings no connection back');
    counts.set('10.1.0.1', new Map(Object.entries({ web: 1, admin: 0 })));
    await drains.poll();
    assert.equal(drains.isDrained('web', 'a'), false, 'one that is counted does');
    drains.close();
  });

  it('is done at its deadline whatever is left, and begins anew when the backend drains again', async () => {
    const { drains, counts, set, wait } = bench();
    counts.set('10.1.0.1', new Map(Object.entries({ web: 1, admin: 0 })));
    await set('web', 'a', 'draining');
    wait(9_999);
    assert.equal(drains.status('web', 'a')!.done, false);
    wait(1);
    assert.equal(drains.status('web', 'a')!.done, true);
    assert.equal(drains.status('web', 'a')!.connections, 1);
    assert.equal(drains.isDrained('web', 'a'), false, 'it still holds one');
    await set('web', 'a', 'active');
    assert.equal(drains.status('web', 'a'), undefined);
    await set('web', 'a', 'draining');
    assert.equal(drains.status('web', 'a')!.done, false);
    drains.close();
  });

  it('says why nobody can count, and does not take that for none', async () => {
    const { drains, asked, set, wait } = bench();
    await set('web', 'b', 'draining');
    await set('web', 'plain', 'draining');
    await set('dns', 'a', 'draining');
    assert.match(drains.status('web', 'b')!.unknown!, /no agent/);
    assert.match(drains.status('web', 'plain')!.unknown!, /runs no agent/);
    assert.match(drains.status('dns', 'a')!.unknown!, /serves no TCP/);
    for (const [pool, name] of [
      ['web', 'b'],
      ['web', 'plain'],
      ['dns', 'a'],
    ] as const) {
      assert.equal(drains.status(pool, name)!.connections, null);
      assert.equal(drains.status(pool, name)!.done, false);
    }
    assert.ok(
      asked.every((address) => address === '10.1.0.2'),
      'only who can count is asked',
    );
    wait(3_600_000);
    assert.equal(drains.status('dns', 'a')!.done, true);
    drains.close();
  });

  it('is not done by an agent that does not know a service, or that says none and then some', async () => {
    const { drains, counts, set, wait } = bench();
    counts.set('10.1.0.1', new Map([['web', 0]]));
    await set('web', 'a', 'draining');
    wait(2_000);
    await drains.poll();
    assert.match(drains.status('web', 'a')!.unknown!, /does not know the service admin/);
    assert.equal(drains.status('web', 'a')!.done, false);
    for (const answer of [NONE_LEFT, new Map(Object.entries({ web: 1, admin: 0 })), NONE_LEFT]) {
      counts.set('10.1.0.1', answer);
      wait(2_000);
      await drains.poll();
      assert.equal(drains.isDrained('web', 'a'), false);
    }
    drains.close();
  });

  it('is asked about at once, though another agent is slow to answer', async () => {
    let answer = (): void => {};
    const asked: string[] = [];
    const drains = new Drains({
      log: createLog('silent'),
      now: () => START_MS,
      count: (address) => {
        asked.push(address);
        return new Promise((resolve) => (answer = () => resolve(NONE_LEFT)));
      },
    });
    let pools: Membership = take(NO_POOLS, FILE.pools, { force: false, nowMs: START_MS });
    for (const backend of ['a', 'b']) {
      pools = say(pools, 'web', backend, { state: 'draining' }, { force: true, nowMs: START_MS });
      drains.follow(pools, FILE.services);
      await undefined;
    }
    assert.deepEqual(asked, ['10.1.0.1']);
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(asked.includes('10.1.0.2'));
    drains.close();
  });

  it('is asked for as long as it lasts, however often something else changes meanwhile', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { drains, counts, set, asked, again } = bench();
    counts.set('10.1.0.1', NONE_LEFT);
    await set('web', 'a', 'draining');
    const before = asked.length;
    for (let ms = 0; ms < 10_000; ms += 500) {
      t.mock.timers.tick(500);
      again();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(asked.length - before >= 4, `asked ${asked.length - before} times in ten seconds`);
    drains.close();
  });
});
