/** How a node follows drains that agents ask for: one change at a time, with pauses, and never telling an agent more than is so. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pino } from 'pino';
import { AnyhopError } from '#anyhop/core/errors.js';
import { AGENT_DRAIN_PAUSE_MS } from '#anyhop/core/limits.js';
import { AgentDrains } from '#anyhop/node/agent-drains.js';
import { goesOnDraining, refuseUndrain, stepOfAgents } from '#anyhop/node/agent-refusals.js';
import { isDrained } from '#anyhop/node/drain-claims.js';
import type { AgentWords } from '#anyhop/pool/agent-drain.js';
import { type Membership, NO_POOLS, take } from '#anyhop/pool/membership.js';
import { askedByAgents, hear, say } from '#anyhop/pool/runtime.js';
import { statesOf } from '#anyhop/pool/states.js';
import { NODE, parse, SERVICES } from '../config/fixture.js';

const [A, B] = ['10.1.0.1', '10.1.0.2'];
const FILE = parse(
  `${NODE}pools:
  web: {table_size: 251, backends: [{name: a, address: ${A}}, {name: b, address: ${B}}, {name: c, address: 10.1.0.3}]}
  dns: {table_size: 251, backends: [{name: a, address: ${A}}]}
${SERVICES}`,
  'run',
);
const start = (): Membership => take(NO_POOLS, FILE.pools, { force: false, nowMs: 0 });
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A node around the drains. */
class Bench {
  nowMs = 50_000;
  pools = start();
  readonly changes: string[] = [];
  readonly asked: string[] = [];
  readonly lines: string[] = [];
  fails: Error | undefined;
  isStarting = false;
  hold: Promise<void> | undefined;
  readonly drains = new AgentDrains({
    pools: () => this.pools,
    change: () => (this.isStarting ? undefined : (words) => this.#change(words)),
    ask: (address) => this.asked.push(address),
    log: pino({ level: 'info' }, { write: (line: string) => void this.lines.push(JSON.parse(line).event) }),
    now: () => this.nowMs,
  });

  async #change(words: AgentWords): Promise<void> {
    this.changes.push([...words].map(([address, isAsked]) => `${address} ${isAsked}`).join());
    await this.hold;
    if (this.fails !== undefined) throw this.fails;
    this.pools = hear(this.pools, words, { nowMs: this.nowMs });
    this.drains.poolsChanged();
  }

  async heard(address: string, isAsked: boolean): Promise<void> {
    this.drains.heard(address, isAsked);
    await turn();
  }

  /** Once all that waits is in force. */
  draining(): string {
    const { members, queue } = this.pools.get('web')!.changes;
    return (queue.at(-1)?.members ?? members)
      .flatMap(({ name, state }) => (state === 'draining' ? [name] : []))
      .join('');
  }
}

describe('a node', () => {
  test('drains who asks for it, asks again so that the host learns it, and is still once nothing differs', async () => {
    const bench = new Bench();
    await bench.heard(A, false);
    assert.deepEqual(bench.changes, []);
    await bench.heard(A, true);
    assert.equal(bench.draining(), 'a');
    await bench.heard(A, true);
    bench.drains.poolsChanged();
    await turn();
    assert.deepEqual(bench.changes, [`${A} true`]);
    assert.deepEqual(bench.asked, [A]);
    await bench.heard('10.9.9.9', true);
    assert.deepEqual(bench.changes.length, 1, 'an address that no pool has');
    bench.nowMs += AGENT_DRAIN_PAUSE_MS;
    await bench.heard(A, false);
    assert.equal(bench.draining(), '');
    assert.deepEqual(bench.lines, ['drain_asked', 'drain_no_longer_asked']);
  });

  test('makes one change in a pause of an agent that changes its mind all the time, and ends where it ends', async () => {
    const bench = new Bench();
    for (let i = 0; i < 100; i++) {
      await bench.heard(A, i % 2 === 0);
      bench.nowMs += 1_000;
    }
    assert.ok(bench.changes.length <= 11, bench.changes.join('; '));
    bench.nowMs += AGENT_DRAIN_PAUSE_MS;
    await bench.heard(A, true);
    assert.equal(bench.draining(), 'a');
    bench.nowMs += AGENT_DRAIN_PAUSE_MS - 1;
    await bench.heard(A, false);
    assert.equal(bench.draining(), 'a', 'not yet');
    await bench.heard(B, true);
    assert.equal(bench.draining(), 'ab', 'another one has a pause of its own');
    bench.nowMs += 1;
    await bench.heard(A, false);
    assert.equal(bench.draining(), 'b');
  });

  test('makes one change at a time, of all that has come meanwhile', async () => {
    const bench = new Bench();
    let release = (): void => {};
    bench.hold = new Promise((resolve) => {
      release = resolve;
    });
    await bench.heard(A, true);
    await bench.heard(B, true);
    await bench.heard('10.1.0.3', true);
    assert.deepEqual(bench.changes, [`${A} true`]);
    release();
    await bench.drains.idle();
    assert.deepEqual(bench.changes, [`${A} true`, `${B} true,10.1.0.3 true`]);
    assert.equal(bench.draining(), 'abc');
  });

  test('tries again what it could not do, with the next answer, and says so once', async () => {
    const bench = new Bench();
    bench.isStarting = true;
    await bench.heard(A, true);
    assert.deepEqual(bench.changes, []);
    assert.equal(bench.drains.isOpen(A), true);
    bench.isStarting = false;
    bench.fails = new Error('the queue is full');
    for (let i = 0; i < 5; i++) {
      bench.nowMs += AGENT_DRAIN_PAUSE_MS;
      await bench.heard(A, true);
    }
    assert.equal(bench.changes.length, 5);
    assert.equal(bench.lines.filter((event) => event === 'drain_not_taken').length, 1);
    bench.fails = undefined;
    bench.nowMs += AGENT_DRAIN_PAUSE_MS;
    await bench.heard(A, true);
    assert.equal(bench.draining(), 'a');
    assert.equal(bench.drains.isOpen(A), false);
  });

  test('drains a backend that a reload brings, whose agent asked before, and forgets one that the file no longer has', async () => {
    const bench = new Bench();
    await bench.heard(A, true);
    bench.nowMs += AGENT_DRAIN_PAUSE_MS;
    const [web, dns] = FILE.pools;
    const options = { force: true, nowMs: bench.nowMs };
    const api = { ...dns!, name: 'api' };
    bench.pools = take(bench.pools, [web!, dns!, api], options);
    bench.drains.poolsChanged();
    await turn();
    assert.equal(bench.pools.get('api')!.changes.members[0]!.state, 'draining');
    const withoutA = { ...web!, backends: web!.backends.slice(1) };
    bench.pools = take(bench.pools, [withoutA], options);
    bench.drains.poolsChanged();
    bench.nowMs += AGENT_DRAIN_PAUSE_MS;
    bench.pools = take(bench.pools, FILE.pools, options);
    bench.drains.poolsChanged();
    await turn();
    assert.equal(bench.draining(), '', 'it asks anew');
  });
});

describe('what a node tells an agent', () => {
  const tablesOf = (pools: Membership) =>
    [...pools.values()].map(({ file, changes }) => statesOf(file, changes));

  test('is that it drains the backend once every pool does, by its tables, and goes on doing so', () => {
    const at = { nowMs: 1, force: false };
    const [web] = FILE.pools;
    const shared = FILE.pools.map((pool) => ({ ...pool, backends: web!.backends }));
    const before = take(NO_POOLS, shared, { force: false, nowMs: 0 });
    const one = say(before, 'web', 'a', { state: 'draining' }, at);
    const both = say(one, 'dns', 'a', { state: 'draining' }, at);
    assert.equal(isDrained(A, tablesOf(before), before), false);
    assert.equal(isDrained(A, tablesOf(one), one), false, 'the other pool has it too');
    assert.equal(isDrained(A, tablesOf(one), both), false, 'not published yet');
    assert.equal(isDrained(A, tablesOf(both), both), true);
    assert.equal(isDrained(B, tablesOf(both), both), false);
    let undrains = say(both, 'web', 'b', { weight: 2 }, at);
    undrains = say(undrains, 'web', 'a', { state: 'active' }, at);
    assert.equal(undrains.get('web')!.changes.queue.length, 1, 'it waits');
    assert.equal(isDrained(A, tablesOf(undrains), undrains), false, 'it will not stay so');
  });

  test('is not that it drains a backend of a pool that has no other, since that one keeps getting new flows', () => {
    const at = { nowMs: 1, force: false };
    const [, dns] = FILE.pools;
    const alone = take(NO_POOLS, [dns!], { force: false, nowMs: 0 });
    const drains = say(alone, 'dns', 'a', { state: 'draining' }, at);
    assert.equal(isDrained(A, tablesOf(drains), drains), false);
  });
});

describe('an operator', () => {
  const at = { nowMs: 1, force: false };
  const asked = hear(start(), new Map([[A, true]]), at);

  test('cannot undrain what an agent asks for, and is told where that ends', () => {
    assert.throws(() => refuseUndrain(['web', 'dns'], 'a', asked), {
      status: 409,
      code: 'ERR_ASKED_BY_AGENT',
      message: 'the agent of a asks for its drain',
      hint: 'Undrain it on its host: anyhop agent --undrain',
    });
    refuseUndrain(['web'], 'b', asked);
  });

  test("can take back his own word beside the agent's, and is told that the drain goes on", () => {
    const both = say(asked, 'web', 'a', { state: 'draining' }, at);
    refuseUndrain(['web', 'dns'], 'a', both);
    const after = say(both, 'web', 'a', { state: 'active' }, { ...at, force: true });
    assert.deepEqual(after.get('web')!.overrides, []);
    assert.equal(after.get('web')!.changes.members[0]!.state, 'draining', 'also by force');
    assert.deepEqual(goesOnDraining(['web'], 'a', { state: 'active' }, after), [
      'pool web: a goes on draining, because its agent asks for it',
    ]);
    assert.deepEqual(goesOnDraining(['web'], 'a', { weight: 1 }, after), []);
  });

  test('cannot cancel the end of a drain that waits because an agent asks no longer', () => {
    let pools = say(asked, 'web', 'b', { weight: 2 }, at);
    pools = hear(pools, new Map([[A, false]]), at);
    assert.deepEqual(askedByAgents(pools, 'web:1'), ['a']);
    const { message, hint } = stepOfAgents('web:1', ['a']);
    assert.equal(message, 'the agent of a asked for web:1');
    assert.match(hint!, /on its host: anyhop agent --undrain/);
  });
});

test('a change that comes too late, as the node stops, is no news', async () => {
  const bench = new Bench();
  bench.fails = new AnyhopError('ERR_STOPPING', 'the node stops; nothing was changed');
  await bench.heard(A, true);
  assert.deepEqual(bench.lines, ['drain_asked']);
});
