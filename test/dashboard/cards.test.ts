/** From the view of a fleet to what a browser is told. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { cardsOf } from '#anyhop/dashboard/cards.js';
import type { BackendCard, NodeCard, VerdictCard } from '#anyhop/dashboard/wire.js';
import { fleetView } from '#anyhop/view/fleet.js';
import type { NodeSeen } from '#anyhop/view/seen.js';
import { statusOf, withBackend } from './fake-fleet.js';

const AT = Date.parse('2026-11-30T02:00:00.000Z');
const SIZE = { pools: 2, backendsPerPool: 3 };

function cards(statuses: readonly NodeStatus[], at = AT, answeredAt = at): Map<string, unknown> {
  const seen: NodeSeen[] = statuses.map((status) => ({
    label: status.node,
    answer: { at: answeredAt, status },
  }));
  return cardsOf(fleetView(seen, at), seen, 'edge-1');
}

describe('cards', () => {
  it('stay as they are while only time and traffic go on: a second later only rates, counts and sums are told', () => {
    const sick = (second: number): NodeStatus => {
      const down = { health: 'down' as const, healthReason: 'connection refused' };
      return withBackend(statusOf(SIZE, second), 'pool-1', 'web-2', down);
    };
    for (const [now, later] of [
      [0, 1_000],
      [250, 1_249],
      [999, 5_000],
    ] as const) {
      const before = cards([sick(1)], AT + now);
      const after = cards([sick(2)], AT + later);
      const changed = [...after].filter(
        ([key, value]) => JSON.stringify(before.get(key)) !== JSON.stringify(value),
      );
      for (const [key] of changed)
        assert.match(key, /^(summary|troubles|verdicts|node\/edge-1|rates\/.*)$/, `${now} to ${later}`);
      assert.deepEqual([...before.keys()], [...after.keys()]);
    }
  });

  it('name the nodes on which a backend is down, and on which a verdict drops', () => {
    const first = statusOf(SIZE);
    const other = statusOf(SIZE, 0, 'edge-2');
    const second = {
      ...withBackend(other, 'pool-2', 'web-1', { health: 'down' }),
      verdicts: { drop_no_service: { packets: 90, packetsPerSecond: 9 } },
    };
    const all = cards([first, second]);
    assert.deepEqual((all.get('backend/pool-2/web-1') as BackendCard).downOn, ['edge-2']);
    const drops = (all.get('verdicts') as VerdictCard[]).find(({ name }) => name === 'drop_no_service');
    assert.deepEqual(drops?.on, [
      { node: 'edge-2', packetsPerSecond: 9 },
      { node: 'edge-1', packetsPerSecond: 1 },
    ]);
  });

  it('tell since when a node is silent, and show what others wrote as one visible line', () => {
    const status = withBackend(statusOf(SIZE), 'pool-1', 'web-1', {
      health: 'down',
      healthReason: 'no\u001b[2J\nway\u202e',
    });
    const all = cards([status], AT + 60_000, AT);
    assert.equal((all.get('node/edge-1') as NodeCard).heardAt, AT);
    assert.equal((all.get('backend/pool-1/web-1') as BackendCard).reason, 'no\\u001b[2J\\nway\\u202e');
  });
});
