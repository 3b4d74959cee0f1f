/** Slot maps: the node's own tables, and what a change would move. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeOwners } from '#anyhop/dashboard/page/slot-picture.js';
import { movesReport, NotThere, poolMoment, slotsReport } from '#anyhop/dashboard/slot-map.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import type { Member } from '#anyhop/table/state.js';

const SLOTS = 251;

/** As `GET /in-force` tells a pool. */
function inForce(
  members: readonly Pick<Member, 'name' | 'state' | 'health' | 'unreachable'>[],
  { digest, panicThreshold = 0 }: { digest?: string; panicThreshold?: number } = {},
): unknown {
  const backends = members.map(({ name, state, health, unreachable }, i) => ({
    name,
    address: `10.0.0.${i + 1}`,
    weight: 1,
    state,
    agent: true,
    id: i + 1,
    mtu: unreachable ? null : 1500,
    health,
  }));
  const state: Member[] = backends.map((one, i) => ({
    ...one,
    address: { text: one.address },
    unreachable: members[i]!.unreachable,
  }));
  const tables = resolvePool({ slots: SLOTS, panicThreshold, state, remembered: [] });
  const { ownersDigest, alternatesDigest } = tables;
  return {
    node: 'edge-1',
    at: '2026-11-30T00:00:00.000Z',
    generation: 7,
    configFile: '/etc/anyhop/anyhop.yaml',
    keyFingerprint: '00',
    flowHashVersion: 2,
    services: [],
    pools: [
      {
        name: 'web',
        slots: SLOTS,
        panicThreshold,
        owners: digest ?? ownersDigest,
        alternates: alternatesDigest,
        backends,
        remembered: [],
      },
    ],
  };
}

const member = fc.record({
  state: fc.constantFrom('active' as const, 'draining' as const),
  health: fc.constantFrom('up' as const, 'down' as const),
  // No way leads to it: a host that answers no ARP.
  unreachable: fc.constantFrom(undefined, true as const),
});
const members = fc
  .array(member, { minLength: 1, maxLength: 12 })
  .map((list) => list.map((one, i) => ({ ...one, name: `web-${i + 1}` })));

describe('the slot map', () => {
  it('has the owner and the alternates of every slot', () => {
    const moment = poolMoment(inForce(['web-1', 'web-2', 'web-3'].map(up)), 'web');
    const report = slotsReport(moment);
    assert.deepEqual(report.backends, ['web-1', 'web-2', 'web-3']);
    assert.deepEqual(decodeOwners(report.owners), moment.tables.owners);
    assert.deepEqual(decodeOwners(report.alternates), moment.tables.alternates);
  });

  it('says of any drain the owners that the pool would have, and counts each slot that moves once', () => {
    fc.assert(
      fc.property(members, fc.nat(), fc.constantFrom(0, 0.5), (list, choice, panicThreshold) => {
        const moment = poolMoment(inForce(list, { panicThreshold }), 'web');
        const { name, state } = list[choice % list.length];
        const report = movesReport(moment, name);
        assert.equal(report.change, state === 'draining' ? 'undrain' : 'drain');
        const changed = list.map((one) =>
          one.name === name ? { ...one, state: state === 'draining' ? 'active' : 'draining' } : one,
        ) as typeof list;
        const expected = poolMoment(inForce(changed, { panicThreshold }), 'web').tables.owners;
        assert.deepEqual(decodeOwners(report.owners), expected);
        const moved = expected.filter((owner, slot) => owner !== moment.tables.owners[slot]).length;
        assert.equal(report.moved, moved);
        const own = moment.tables.names.indexOf(name);
        const ofOthers = expected.filter((owner, slot) => {
          const former = moment.tables.owners[slot]!;
          return owner !== former && (state === 'draining' ? owner : former) !== own;
        }).length;
        assert.equal(report.ofOthers, ofOthers);
        assert.equal(
          report.to.reduce((sum, { slots }) => sum + slots, 0),
          moved,
        );
      }),
    );
  });

  it('moves only the slots of the backend that drains', () => {
    const moment = poolMoment(inForce(['web-1', 'web-2', 'web-3', 'web-4'].map(up)), 'web');
    const after = decodeOwners(movesReport(moment, 'web-2').owners);
    for (const [slot, owner] of moment.tables.owners.entries())
      if (owner !== 1) assert.equal(after[slot], owner);
  });

  it('says how many slots of others move as well where the mode of the pool changes', () => {
    const down = { name: 'web-2', state: 'active' as const, health: 'down' as const };
    const panic = poolMoment(inForce([up('web-1'), down], { panicThreshold: 0.8 }), 'web');
    assert.equal(panic.tables.mode, 'panic');
    const { moved, ofOthers } = movesReport(panic, 'web-1');
    assert.ok(ofOthers > 0 && ofOthers === moved);
  });

  it('shows no tables that are not the node’s', () => {
    assert.throws(
      () => poolMoment(inForce([up('web-1')], { digest: '0'.repeat(64) }), 'web'),
      /other tables/,
    );
  });

  it('knows which pools and backends are not there', () => {
    assert.throws(() => poolMoment(inForce([up('web-1')]), 'api'), NotThere);
    assert.throws(() => movesReport(poolMoment(inForce([up('web-1')]), 'web'), 'web-9'), NotThere);
  });
});

function up(name: string) {
  return { name, state: 'active' as const, health: 'up' as const };
}
