/** A running node's pools under changes of every kind at once, and publishes that fail: nothing is lost, nothing half taken. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { createLog } from '#anyhop/core/log.js';
import { NodePools } from '#anyhop/node/node-pools.js';
import type { ChangeRequest, NodeSurroundings } from '#anyhop/node/surroundings.js';
import type { Recipients } from '#anyhop/pool/least-mtu.js';
import { type Membership, type NamedBackend, NO_POOLS, take, takeMarks } from '#anyhop/pool/membership.js';
import type { Hold } from '#anyhop/pool/open-changes.js';
import { renamedPools } from '#anyhop/pool/renames.js';
import { say } from '#anyhop/pool/runtime.js';
import { NO_FACTS } from '#anyhop/pool/states.js';
import { NODE, parse, SERVICES } from '../config/fixture.js';

const SETTLE_MS = 1000;
const NAMES = ['a', 'b', 'c', 'd'] as const;

interface Written {
  readonly name: string;
  readonly weight: number;
  readonly state: 'active' | 'draining';
}

function fileOf(members: readonly Written[]): LoadedConfig<'run'> {
  const lines = members.map(
    ({ name, weight, state }) =>
      `{name: ${name}, address: 10.1.0.${NAMES.indexOf(name as 'a') + 1}, weight: ${weight}, state: ${state}}`,
  );
  return parse(
    `${NODE}pools:
  web: {table_size: 251, settle_time: 1s, backends: [${lines.join(', ')}]}
  dns: {table_size: 251, backends: [{name: dns-1, address: 10.1.1.1}]}
${SERVICES}`,
    'run',
  );
}

function reloadTo(file: LoadedConfig<'run'>, force: boolean): ChangeRequest {
  return { file, next: (before, at) => take(before, file.pools, { ...at, force }) };
}

/** A node around the pools, which notes what it is told, and whose publishes fail when they are to. */
class Node {
  readonly published: Recipients[] = [];
  readonly marks = new Map<string, 'up' | 'down'>();
  readonly faults: string[] = [];
  remembered: Membership = new Map();
  fails = 0;
  holds: readonly Hold[] = [];
  unchecked: string[] = [];
  checks = 0;
  failingChecks = 0;
  hold: Promise<void> | undefined;
  nowMs = 5000;
  #reached = new Set<string>();
  #checked = new Set<string>();
  readonly pools: NodePools;

  constructor(file: LoadedConfig<'run'>) {
    const named = (backends: readonly NamedBackend[]) =>
      new Set(backends.map(({ pool, backend }) => `${pool.name}/${backend.name}`));
    const later = () => new Promise<void>((resolve) => setImmediate(resolve));
    const surroundings: NodeSurroundings = {
      permit: async () => undefined,
      // As the real ones: who is named is followed from the call on, and known when it resolves.
      reach: async (backends) => {
        this.#reached = named(backends);
        await (this.hold ?? later());
      },
      check: async (backends) => {
        this.checks++;
        if (this.failingChecks-- > 0) throw new Error('socket EMFILE');
        this.unchecked = backends.flatMap(({ pool, backend }) =>
          pool.health.length > 0 ? [] : [backend.name],
        );
        const checks = backends.flatMap(({ pool }) => pool.health);
        if (checks.some(({ kind }) => kind === 'tunnel')) throw new Error('no raw sockets');
        this.#checked = named(backends);
        await later();
      },
      formerKey: () => undefined,
      facts: () => NO_FACTS,
      holds: (pool) => (pool === 'web' ? this.holds : []),
      why: (pool, { name }) => {
        this.#expectKnown(pool.name, name);
        return this.marks.get(name) === 'down' ? 'refused' : undefined;
      },
      publish: async () => {
        const { recipients } = this.pools;
        if (this.fails-- > 0) return new Error('no room');
        for (const pool of recipients.pools) {
          for (const { name } of pool.backends) this.#expectKnown(pool.name, name);
        }
        this.published.push(recipients);
        return undefined;
      },
      remember: async (pools) => {
        this.remembered = pools;
      },
    };
    const log = createLog('silent');
    this.pools = new NodePools({ file, memory: new Map(), surroundings, log, now: () => this.nowMs });
    const all = file.pools.flatMap((pool) => pool.backends.map((backend) => ({ pool, backend })));
    this.#reached = this.#checked = named(all);
    this.pools.start();
    this.pools.forwards();
  }

  /** Resolves when nothing is being published. */
  async quiet(): Promise<void> {
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  #expectKnown(pool: string, backend: string): void {
    const name = `${pool}/${backend}`;
    if (!this.#reached.has(name) || !this.#checked.has(name)) this.faults.push(`${name} is not known`);
  }

  drain(backend: string, state: 'active' | 'draining', force: boolean) {
    return this.pools.change(() => ({
      file: this.pools.file,
      next: (before, at) => {
        const has = before.get('web')!.file.backends.some((each) => each.name === backend);
        return has ? say(before, 'web', backend, { state }, { ...at, force }) : before;
      },
    }));
  }

  inForce(): Written[] {
    return this.pools.recipients.pools[0].backends.map(({ name, weight, state }) => ({
      name,
      weight,
      state,
    }));
  }

  /** What the pool will be once nothing waits. */
  finally(): Written[] {
    const { changes } = this.pools.pools.get('web')!;
    const members = changes.queue.at(-1)?.members ?? changes.members;
    return members.map(({ name, weight, state }) => ({ name, weight, state }));
  }
}

const members = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom<string[]>(...NAMES),
      weight: fc.constantFrom(1, 2),
      state: fc.constantFrom<Written['state'][]>('active', 'active', 'draining'),
    }),
    { minLength: 1, selector: ({ name }) => name },
  )
  .map((list) => list.sort((x, y) => (x.name < y.name ? -1 : 1)));

type Step =
  | { readonly kind: 'reload'; readonly members: Written[]; readonly force: boolean; readonly fails: boolean }
  | {
      readonly kind: 'say';
      readonly name: string;
      readonly state: Written['state'];
      readonly force: boolean;
      readonly fails: boolean;
    }
  | { readonly kind: 'mark'; readonly name: string; readonly health: 'up' | 'down' }
  | { readonly kind: 'hold'; readonly names: string[] }
  | { readonly kind: 'time'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('reload' as const), members, force: fc.boolean(), fails: fc.boolean() }),
  fc.record({
    kind: fc.constant('say' as const),
    name: fc.constantFrom<string[]>(...NAMES),
    state: fc.constantFrom<Written['state'][]>('active', 'draining'),
    force: fc.boolean(),
    fails: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('mark' as const),
    name: fc.constantFrom<string[]>(...NAMES),
    health: fc.constantFrom<('up' | 'down')[]>('up', 'down'),
  }),
  fc.record({ kind: fc.constant('hold' as const), names: fc.subarray<string>([...NAMES]) }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 1500 }) }),
);

describe('the pools of a running node', () => {
  it('take each change whole or not at all, keep what was said at runtime, and publish nobody unknown', async () => {
    await fc.assert(
      fc.asyncProperty(members, fc.array(step, { maxLength: 15 }), async (first, steps) => {
        const node = new Node(fileOf(first));
        await node.quiet();
        let file: readonly Written[] = first;
        const said = new Map<string, Written['state']>();
        for (const each of steps) {
          const before = { inForce: node.inForce(), finally: node.finally(), file: node.pools.file };
          if (each.kind === 'time') {
            node.nowMs += each.ms;
            node.pools.marksChanged();
          } else if (each.kind === 'hold') {
            node.holds = each.names.map((name) => ({ name, untilMs: 1e12 }));
            node.pools.marksChanged();
          } else if (each.kind === 'mark') {
            node.marks.set(each.name, each.health);
            node.pools.marksChanged();
            assert.deepEqual(node.inForce(), before.inForce, 'a mark changes no member');
          } else {
            node.fails = each.fails ? 1 : 0;
            const request =
              each.kind === 'reload'
                ? node.pools.change(() => reloadTo(fileOf(each.members), each.force))
                : node.drain(each.name, each.state, each.force);
            const failure = await request.then(
              () => undefined,
              (error: unknown) => error,
            );
            node.fails = 0;
            if (failure !== undefined) {
              assert.ok(each.fails, String(failure));
              assert.deepEqual(node.inForce(), before.inForce, 'what was in force stays');
              assert.deepEqual(node.finally(), before.finally, 'what waited waits');
              assert.equal(node.pools.file, before.file);
            } else if (each.kind === 'reload') {
              file = each.members;
            } else if (file.some(({ name }) => name === each.name)) {
              said.set(each.name, each.state);
            }
            // What the file says too is said no more.
            for (const { name, state } of file) if (said.get(name) === state) said.delete(name);
            for (const name of said.keys())
              if (!file.some((member) => member.name === name)) said.delete(name);
            // A forced reload brings all; what is said of one backend comes alone.
            if (each.force && failure === undefined && each.kind === 'reload')
              assert.deepEqual(node.inForce(), node.finally());
            if (each.force && failure === undefined && each.kind === 'say') {
              const isInFile = file.some(({ name }) => name === each.name);
              const now = node.inForce().find(({ name }) => name === each.name);
              if (isInFile && now !== undefined) assert.equal(now.state, each.state);
            }
          }
          const wanted = file.map((member) => ({ ...member, state: said.get(member.name) ?? member.state }));
          assert.deepEqual(node.finally(), wanted);
          await node.quiet();
          assert.deepEqual(node.faults, []);
          const last = node.published.at(-1);
          if (last !== undefined) assert.deepEqual(last.pools, node.pools.recipients.pools);
          const kept = node.remembered.get('web')!;
          assert.deepEqual(
            kept.overrides.map(({ backend, state }) => [backend, state]).sort(),
            [...said].sort(),
          );
        }
        node.holds = [];
        node.nowMs += SETTLE_MS * (steps.length + 1);
        for (let i = 0; i <= steps.length; i++) {
          node.pools.marksChanged();
          await node.quiet();
          node.nowMs += SETTLE_MS;
        }
        assert.deepEqual(node.inForce(), node.finally(), 'in the end nothing waits');
        node.pools.close();
      }),
      { numRuns: 60 },
    );
  });

  it('go on under another name: what is remembered, waits and was said at runtime is that of the pool', async () => {
    const active = ['a', 'b', 'c'].map((name): Written => ({ name, weight: 1, state: 'active' }));
    const node = new Node(fileOf(active));
    for (const name of ['a', 'b']) await node.drain(name, 'draining', false);
    await node.pools.change(() =>
      reloadTo(fileOf([...active, { name: 'd', weight: 1, state: 'active' }]), false),
    );
    const before = node.pools.pools.get('web')!;
    assert.equal(before.changes.queue.length, 1);
    const file = parse(
      `${NODE}pools:
  www: {table_size: 251, settle_time: 1s, backends: [${['a', 'b', 'c', 'd'].map((name, i) => `{name: ${name}, address: 10.1.0.${i + 1}}`).join()}]}
  dns: {table_size: 251, backends: [{name: dns-1, address: 10.1.1.1}]}
${SERVICES.replaceAll('pool: web', 'pool: www')}`,
      'run',
    );
    const renamed = renamedPools(node.pools.file, file);
    assert.deepEqual([...renamed], [['www', 'web']]);
    const done = await node.pools.change(() => ({
      file,
      next: (pools, at) => take(pools, file.pools, { ...at, force: false, renamed }),
    }));
    assert.deepEqual(done.map(({ pool, effect, changes }) => `${pool} ${effect} ${changes.join()}`).sort(), [
      'dns unchanged ',
      'www in_force renamed from web',
    ]);
    const after = node.pools.pools.get('www')!;
    assert.deepEqual(after.changes.members, before.changes.members);
    assert.deepEqual(after.changes.queue, before.changes.queue);
    assert.deepEqual(after.overrides, before.overrides);
    assert.deepEqual(after.drainingSinceMs, before.drainingSinceMs);
    const restarted = take(NO_POOLS, file.pools, {
      force: false,
      nowMs: node.nowMs,
      memory: new Map([['web', before]]),
      renamed,
    });
    assert.deepEqual(restarted.get('www')!.changes.queue, before.changes.queue, 'and over a restart');
    node.pools.close();
  });

  it('lose neither of a reload and a drain that come at once', async () => {
    const members = (...names: string[]): Written[] =>
      names.map((name) => ({ name, weight: 1, state: 'active' }));
    const node = new Node(fileOf(members('a', 'b')));
    await Promise.all([
      node.pools.change(() => reloadTo(fileOf(members('a', 'b', 'c')), true)),
      node.drain('b', 'draining', true),
      node.drain('c', 'draining', true),
    ]);
    assert.deepEqual(
      node.inForce().map(({ name, state }) => `${name} ${state}`),
      ['a active', 'b draining', 'c draining'],
    );
    node.pools.close();
  });

  it('have a backend that is new and down counted as down from the moment when it is in force', async () => {
    const node = new Node(fileOf([{ name: 'a', weight: 1, state: 'active' }]));
    node.marks.set('b', 'down');
    const both: Written[] = ['a', 'b'].map((name) => ({ name, weight: 1, state: 'active' }));
    await node.pools.change(() => reloadTo(fileOf(both), false));
    const { changes } = node.pools.pools.get('web')!;
    assert.equal(changes.marks.find(({ name }) => name === 'b')?.health, 'down');
    node.pools.close();
  });

  it('know of marks only what is remembered before they start, and since when one stands over a restart', () => {
    const file = fileOf(['a', 'b'].map((name) => ({ name, weight: 1, state: 'active' })));
    const [{ backends, ...rest }] = file.pools;
    const before = take(NO_POOLS, [{ ...rest, backends: [backends[0]] }], { force: false, nowMs: 500 });
    const memory = takeMarks(before, () => ({ health: 'down' }), 1_000);
    const surroundings = {
      why: ({ name }: { name: string }) => (name === 'web' ? 'refused' : undefined),
      formerKey: () => undefined,
      facts: () => NO_FACTS,
      holds: () => [],
      publish: async () => undefined,
      remember: async () => undefined,
    } as Partial<NodeSurroundings> as NodeSurroundings;
    let nowMs = 5_000;
    const pools = new NodePools({ file, memory, surroundings, log: createLog('silent'), now: () => nowMs });
    const told = () =>
      [...pools.marks('web')].map(([name, { health, since }]) => [name, health, since.getTime()]);
    assert.deepEqual(told(), [['a', 'down', 1_000]]);
    nowMs = 6_000;
    pools.start();
    assert.deepEqual(told(), [
      ['a', 'down', 1_000],
      ['b', 'down', 6_000],
    ]);
    pools.close();
  });

  it('prepare a change to its end though another one comes into force meanwhile', async () => {
    const members = (...names: string[]): Written[] =>
      names.map((name) => ({ name, weight: 1, state: 'active' }));
    const node = new Node(fileOf(members('a')));
    for (const names of [
      ['a', 'z'],
      ['a', 'b'],
      ['a', 'b', 'c'],
    ])
      await node.pools.change(() => reloadTo(fileOf(members(...names)), false));
    assert.deepEqual(
      node.inForce().map(({ name }) => name),
      ['a', 'b'],
    );
    let release = (): void => {};
    node.hold = new Promise((resolve) => {
      release = resolve;
    });
    const last = node.pools.change(() => reloadTo(fileOf(members('a', 'b', 'c', 'd')), true));
    await node.quiet();
    node.nowMs += SETTLE_MS;
    node.pools.marksChanged();
    assert.deepEqual(
      node.inForce().map(({ name }) => name),
      ['a', 'b', 'c'],
    );
    release();
    await last;
    assert.deepEqual(
      node.inForce().map(({ name }) => name),
      ['a', 'b', 'c', 'd'],
    );
    assert.deepEqual(node.faults, []);
    node.pools.close();
  });

  it('refuse a file with checks that this host cannot make, and go on as they are', async () => {
    const file = fileOf([{ name: 'a', weight: 1, state: 'active' }]);
    const node = new Node(file);
    const [web, dns] = file.pools;
    const health = {
      kind: 'tunnel',
      endpoints: [],
      intervalMs: 1000,
      timeoutMs: 500,
      rise: 1,
      fall: 1,
      jitter: 0,
    } as const;
    const other = { ...file, pools: [{ ...web, health: [health] }, dns] };
    await assert.rejects(
      node.pools.change(() => reloadTo(other, false)),
      /no raw sockets/,
    );
    assert.equal(node.pools.file, file);
    await node.drain('a', 'draining', false);
    assert.deepEqual(node.faults, []);
    node.pools.close();
  });

  it('check by the settings in force until others are: what is no longer checked must not be without a result', async () => {
    const plain = fileOf([{ name: 'a', weight: 1, state: 'active' }]);
    const [web, dns] = plain.pools;
    const health = {
      kind: 'tcp',
      port: 80,
      intervalMs: 1,
      timeoutMs: 1,
      rise: 1,
      fall: 1,
      jitter: 0,
    } as const;
    const node = new Node({ ...plain, pools: [{ ...web, health: [health] }, dns] });
    let release = (): void => {};
    node.hold = new Promise((resolve) => {
      release = resolve;
    });
    const changed = node.pools.change(() => reloadTo(plain, false));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(node.unchecked, ['dns-1']);
    release();
    await changed;
    assert.deepEqual(node.unchecked.sort(), ['a', 'dns-1']);
    node.pools.close();
  });

  it('try again, later and later, to check those that they could not check', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const members = (...names: string[]): Written[] =>
      names.map((name) => ({ name, weight: 1, state: 'active' }));
    const node = new Node(fileOf(members('a', 'b')));
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    await node.pools.change(() => reloadTo(fileOf(members('a')), false));
    await node.quiet();
    // The memory of b ends, so that there are others to follow.
    node.failingChecks = 9;
    node.nowMs += SETTLE_MS;
    node.pools.marksChanged();
    await turn();
    const first = node.checks;
    for (const [i, seconds] of [1, 2, 4, 8, 16, 32, 64, 64, 64].entries()) {
      t.mock.timers.tick(seconds * 1_000 - 1);
      await turn();
      assert.equal(node.checks, first + i, `not before ${seconds} s`);
      t.mock.timers.tick(1);
      await turn();
      assert.equal(node.checks, first + i + 1, `after ${seconds} s`);
    }
    await turn();
    t.mock.timers.tick(600_000);
    await turn();
    assert.equal(node.checks, first + 9, 'once they are checked, no more');
    node.pools.close();
  });

  it('mark a backend as dead by themselves, once it has been down for dead_after', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const node = new Node(fileOf([{ name: 'a', weight: 1, state: 'active' }]));
    const healthOf = (name: string) => node.pools.marks('web').get(name)!.health;
    const { deadAfterMs } = node.pools.file.pools[0];
    await node.quiet();
    node.marks.set('a', 'down');
    node.pools.marksChanged();
    await node.quiet();
    for (const [ms, expected] of [
      [deadAfterMs - 1, 'down'],
      [1, 'dead'],
    ] as const) {
      node.nowMs += ms;
      t.mock.timers.tick(ms);
      assert.equal(healthOf('a'), expected);
      await node.quiet();
    }
    node.pools.close();
  });

  it('try again what could not be published, by themselves', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const node = new Node(fileOf([{ name: 'a', weight: 1, state: 'active' }]));
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    await turn();
    node.fails = 1;
    node.pools.marksChanged();
    await turn();
    const before = node.published.length;
    t.mock.timers.tick(5_000);
    await turn();
    assert.equal(node.published.length, before + 1);
    t.mock.timers.tick(60_000);
    await turn();
    assert.equal(node.published.length, before + 1, 'once it is in force, no more');
    node.pools.close();
  });
});
