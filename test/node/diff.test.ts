/** What is told of two nodes that do not see the same: nothing for the same, all that differs, and slots as counted one by one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { BackendStatus, NodeStatus, PoolStatus } from '#anyhop/api/status.js';
import { WEIGHT_MAX } from '#anyhop/core/limits.js';
import { type Difference, diffNodes, type PoolDiff } from '#anyhop/node/diff.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import type { Member } from '#anyhop/table/state.js';
import { alternateMachines, ownerMachines, poolState, smallSlots } from '../table/pools.js';
import { backendStatus, nodeStatus, poolStatus } from './node-status.js';

const DRAINED = { since: '', deadline: '', connections: 0, done: true };

/** A pool as some node might tell it, with a prior state of its own and some machines behind other addresses. */
const anyPool = fc
  .record({
    state: poolState({ maxLength: 6 }),
    prior: fc.option(poolState({ maxLength: 6 }), { nil: undefined }),
    slots: smallSlots,
    panicThreshold: fc.constantFrom(0, 0, 0.5),
    moved: fc.constantFrom(0, 0, 0, 1),
  })
  .map(({ state, prior, slots, panicThreshold, moved }): PoolStatus => {
    const members = state.map(({ drained, unreachable, ...member }, i) =>
      backendStatus(member.name, {
        ...member,
        reachable: unreachable !== true,
        address: `${i === 0 ? moved : 0} ${member.name}`,
        ...(drained && { drain: DRAINED }),
      }),
    );
    const before = prior?.map(
      ({ unreachable, health, ...one }) =>
        ({
          ...one,
          address: `${moved} ${one.name}`,
          health: health === 'up' ? 'up' : 'down',
          reachable: unreachable !== true,
        }) as const,
    );
    return poolStatus('web', members, { slots, panicThreshold, ...(before && { remembered: [before] }) });
  });

/** Two nodes, of which the second is most often the first with something changed. */
const twoPools = fc.oneof(
  fc.tuple(anyPool, anyPool),
  fc
    .tuple(anyPool, fc.nat(), fc.constantFrom('down', 'draining', 'weight', 'gone'))
    .map(([pool, at, how]) => {
      const index = at % pool.backends.length;
      const changed = pool.backends.flatMap((one, i): BackendStatus[] => {
        if (i !== index) return [one];
        if (how === 'down') return [{ ...one, health: 'down' }];
        if (how === 'draining') return [{ ...one, state: 'draining' }];
        return how === 'weight' ? [{ ...one, weight: (one.weight + 1) % WEIGHT_MAX }] : [];
      });
      const { slots, panicThreshold, remembered } = pool;
      const backends = changed.length > 0 ? changed : pool.backends;
      return [pool, poolStatus('web', backends, { slots, panicThreshold, remembered })] as const;
    }),
);

const node = (name: string, ...pools: PoolStatus[]): NodeStatus => nodeStatus({ node: name, pools });

/** Slot by slot, or where sizes differ hash by hash, by the addresses in the tables. */
function countOneByOne(a: PoolStatus, b: PoolStatus): { differ: number; lost: [number, number]; of: number } {
  const read = ({ slots, panicThreshold, remembered, backends }: PoolStatus) => {
    const reach = ({ reachable }: { reachable: boolean }) => !reachable && { unreachable: true as const };
    const address = (text: string) => ({ address: { text } });
    const state = backends.map(
      ({ drain, ...one }): Member => ({
        ...one,
        ...address(one.address),
        ...reach(one),
        ...(drain !== undefined && one.state === 'draining' && { drained: true }),
      }),
    );
    const before = remembered.map((former) =>
      former.map((one): Member => ({ ...one, ...address(one.address), ...reach(one) })),
    );
    const tables = resolvePool({ slots, panicThreshold, remembered: before, state });
    return { owners: ownerMachines(tables), alternates: alternateMachines(tables) };
  };
  const [ofA, ofB] = [read(a), read(b)];
  const of = a.slots === b.slots ? a.slots : a.slots * b.slots;
  const counted = { differ: 0, lost: [0, 0] as [number, number], of };
  for (let hash = 0; hash < of; hash++) {
    const [i, j] = [Math.floor((hash * a.slots) / of), Math.floor((hash * b.slots) / of)];
    const [ownerA, ownerB] = [ofA.owners[i], ofB.owners[j]];
    if (ownerA === ownerB) continue;
    counted.differ++;
    if (ownerA !== undefined && !ofB.alternates[j].includes(ownerA)) counted.lost[0]++;
    if (ownerB !== undefined && !ofA.alternates[i].includes(ownerB)) counted.lost[1]++;
  }
  return counted;
}

describe('the difference between two nodes', () => {
  it('is nothing for a node and itself', () => {
    fc.assert(
      fc.property(anyPool, (pool) => {
        const { same, services, pools } = diffNodes(node('a', pool), node('b', pool));
        assert.equal(same, true);
        assert.deepEqual(services, []);
        assert.deepEqual(pools[0].differences, []);
        assert.deepEqual(pools[0].reproduced, [true, true]);
        assert.equal(pools[0].slots!.owners.slots, 0);
        assert.deepEqual(
          pools[0].slots!.lost.map(({ slots }) => slots),
          [0, 0],
        );
      }),
      { numRuns: 50 },
    );
  });

  it('has the slots that a comparison slot by slot finds', () => {
    let lost = 0;
    fc.assert(
      fc.property(twoPools, ([a, b]) => {
        const { slots } = diffNodes(node('a', a), node('b', b)).pools[0];
        const counted = countOneByOne(a, b);
        const expected = [counted.differ, ...counted.lost].map((count) => count / counted.of);
        const told = [slots!.owners, ...slots!.lost];
        assert.deepEqual(
          told.map(({ share }) => share),
          expected,
        );
        if (a.slots === b.slots)
          assert.deepEqual(
            told.map((one) => Math.round(one.slots)),
            [counted.differ, ...counted.lost],
          );
        lost += counted.lost[0];
      }),
      { numRuns: 100 },
    );
    assert.ok(lost > 0);
  });

  it('is the same from the other side', () => {
    const turn = ({ values, ...rest }: Difference): Difference => ({
      ...rest,
      values: [values[1], values[0]],
    });
    fc.assert(
      fc.property(twoPools, ([a, b]) => {
        const [one, other] = [diffNodes(node('a', a), node('b', b)), diffNodes(node('b', b), node('a', a))];
        assert.equal(one.same, other.same);
        const [pool, turned] = [one.pools[0], other.pools[0]];
        assert.deepEqual(pool.differences.map(turn), turned.differences);
        assert.deepEqual(pool.digests, turned.digests);
        const shares = ({ slots }: PoolDiff) => slots!.lost.map(({ share }) => share);
        assert.deepEqual(shares(pool), shares(turned).reverse());
        assert.equal(pool.slots!.owners.share, turned.slots!.owners.share);
      }),
      { numRuns: 50 },
    );
  });

  it('breaks no connection where one node sees a backend down that the other has up, second chance on', () => {
    const members = ['web-1', 'web-2', 'web-3'].map((name) => backendStatus(name));
    const reason = 'connect ECONNREFUSED 10.1.0.12:80, 3 in a row';
    const changed = members.map((one) =>
      one.name === 'web-2' ? { ...one, health: 'down' as const, healthReason: reason } : one,
    );
    const { remembered } = poolStatus('web', members);
    const [up, down] = [poolStatus('web', members), poolStatus('web', changed, { remembered })];
    const { same, pools } = diffNodes(node('edge-1', up), node('edge-2', down));
    assert.equal(same, false);
    assert.deepEqual(pools[0].digests, { owners: false, alternates: false });
    assert.deepEqual(pools[0].differences, [
      { of: 'web-2', what: 'health', values: ['up', `down: ${reason}`] },
    ]);
    const { owners, lost } = pools[0].slots!;
    assert.equal(owners.slots, up.backends[1].slots);
    // Each has as alternate what the other has as owner.
    assert.deepEqual(
      lost.map(({ slots }) => slots),
      [0, 0],
    );
  });

  it('takes a backend for its address, whatever its name, and a pool for the one that its services go to', () => {
    const of = (name: string, address: string) => backendStatus(name, { address });
    const two = [of('web-1', '10.1.0.1'), of('web-2', '10.1.0.2')];
    const swapped = [of('web-1', '10.1.0.2'), of('web-2', '10.1.0.1')];
    const [a, b] = [poolStatus('web', two), poolStatus('web', swapped)];
    const exchanged = diffNodes(node('a', a), node('b', b)).pools[0];
    assert.equal(exchanged.slots!.owners.share, 1, 'every slot goes to another machine');
    const renamed = poolStatus('web', [of('one', '10.1.0.1'), two[1]]);
    const { slots } = diffNodes(node('a', a), node('b', renamed)).pools[0];
    const counted = countOneByOne(a, renamed);
    assert.equal(Math.round(slots!.owners.slots), counted.differ);
    assert.ok(counted.differ > 0 && counted.differ < a.slots, String(counted.differ));

    const [service] = nodeStatus().services;
    const served = (name: string, pool: string) => ({
      ...node(name, poolStatus(pool, two)),
      services: [{ ...service, pool }],
    });
    const { pools } = diffNodes(served('a', 'web'), served('b', 'www'));
    assert.deepEqual(
      pools.map(({ differences }) => differences),
      [[{ what: 'name', values: ['web', 'www'] }]],
    );
    assert.equal(pools[0].slots!.owners.share, 0);
  });

  it('names all that can differ: members, remembered states, settings, queue, services, pools', () => {
    const settlesAt = (second: number) => new Date(Date.UTC(2024, 4, 1, 12, 0, second)).toISOString();
    const remembered = (weight: number) =>
      [
        [{ name: 'web-1', address: '10.1.0.1', weight, state: 'active', health: 'up', reachable: true }],
      ] as const;
    const dueAt = settlesAt(0);
    const a = poolStatus('web', [backendStatus('web-1'), backendStatus('web-2')], {
      remembered: remembered(1),
      change: { settlesAt: settlesAt(0), queued: [] },
    });
    const b = poolStatus('web', [backendStatus('web-1', { address: '10.9.9.9', weight: 2 })], {
      remembered: [...remembered(3), ...remembered(1)],
      panicThreshold: 0.5,
      slots: 257,
      change: {
        settlesAt: settlesAt(6),
        queued: [{ id: 'web:1', plannedAt: dueAt, dueAt, changes: ['web-3 added'] }],
      },
    });
    const [service] = nodeStatus().services;
    const one = { ...node('a', a, poolStatus('api', [backendStatus('api-1')])), services: [service] };
    const other = { ...node('b', b), services: [{ ...service, portLast: 89 }] };
    const { services, pools } = diffNodes(one, other);
    assert.deepEqual(services, [
      {
        of: 'http',
        what: 'service',
        values: ['80', '80-89'].map(
          (port) => `203.0.113.10 tcp ${port}, pool web, hash 5-tuple, second chance`,
        ),
      },
    ]);
    assert.deepEqual(pools[0], {
      pool: 'api',
      same: false,
      differences: [{ what: 'pool', values: ['present', null] }],
    });
    assert.deepEqual(
      pools[1].differences.map(({ of = '', what, values }) => [of, what, ...values].join(' ')),
      [
        ' table size 251 257',
        ' panic threshold 0 0.5',
        ` settles at ${settlesAt(0)} ${settlesAt(6)}`,
        ' queued  web-3 added',
        'web-1 address 10.1.0.11 10.9.9.9',
        'web-1 weight 1 2',
        'web-2 address 10.1.0.12 ',
        'web-2 id 2 ',
        'web-2 agent true ',
        'web-2 weight 1 ',
        'web-2 state active ',
        'web-2 health up ',
        ' remembered states 1 2',
        'web-1 last state 10.1.0.1, weight 1, active, up 10.1.0.1, weight 3, active, up',
      ],
    );
  });

  it('names another id and another agent of a backend, which GRE keys follow from, and neither for a version that says neither', () => {
    const [one, changed] = [backendStatus('web-1'), backendStatus('web-1', { id: 900, hasAgent: false })];
    const [a, b] = [one, changed].map((backend) => node('a', poolStatus('web', [backend])));
    const { same, pools } = diffNodes(a, b);
    assert.equal(same, false);
    assert.deepEqual(pools[0].differences, [
      { of: 'web-1', what: 'id', values: ['1', '900'] },
      { of: 'web-1', what: 'agent', values: ['true', 'false'] },
    ]);
    const { id: _, hasAgent: __, ...former } = one;
    const old = { ...a, pools: [{ ...a.pools[0], backends: [former] }] };
    assert.equal(diffNodes(old, b).pools[0].differences.length, 0);
  });

  it('says of a status that it does not lead to the digest that it names', () => {
    const pool = poolStatus('web', [backendStatus('web-1')]);
    const odd = { ...pool, digests: { ...pool.digests, owners: 'f'.repeat(64) } };
    const { same, pools } = diffNodes(node('a', pool), node('b', odd));
    assert.equal(same, false);
    assert.deepEqual(pools[0].reproduced, [true, false]);
  });

  it('names another key, another version of the flow hash, and another hash or second chance of a service: tables alone send no flow anywhere', () => {
    const a = nodeStatus();
    assert.deepEqual([diffNodes(a, a).same, diffNodes(a, a).sameKey], [true, true]);
    const otherKey = diffNodes(a, nodeStatus({ keyFingerprint: 'ffffffffffffffff' }));
    assert.deepEqual([otherKey.same, otherKey.sameKey], [false, false]);
    const otherHash = diffNodes(a, nodeStatus({ flowHashVersion: 1 }));
    assert.deepEqual([otherHash.same, otherHash.flowHashVersions], [false, [2, 1]]);
    for (const change of [{ hash: 'source' }, { secondChance: false }] as const) {
      const services = a.services.map((service) => ({ ...service, ...change }));
      const diff = diffNodes(a, nodeStatus({ services }));
      assert.equal(diff.same, false);
      assert.deepEqual(
        diff.services.map(({ of }) => of),
        ['http'],
      );
    }
  });
});
