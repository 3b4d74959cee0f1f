/** Statuses of nodes, as they tell them: two backends in one pool, and whatever a test changes. */
import type { BackendStatus, NodeStatus, PoolStatus } from '#anyhop/api/status.js';
import { resolvePool } from '#anyhop/table/resolve.js';
import type { Member, PoolState } from '#anyhop/table/state.js';

const SINCE = '2024-05-01T12:00:00.000Z';
const NO_TRAFFIC = { packets: 0, bytes: 0, packetsPerSecond: 0, bytesPerSecond: 0 };

export function backendStatus(name: string, change: Partial<BackendStatus> = {}): BackendStatus {
  return {
    name,
    address: `10.1.0.${10 + Number(/\d+$/.exec(name)?.[0] ?? 0)}`,
    id: Number(/\d+$/.exec(name)?.[0] ?? 0),
    hasAgent: true,
    weight: 1,
    state: 'active',
    health: 'up',
    healthSince: SINCE,
    reachable: true,
    slots: 0,
    nextHop: { interface: 'eth0', mac: '02:00:00:00:00:01', mtu: 1500 },
    ...NO_TRAFFIC,
    ...change,
  };
}

/** With the slots and digests that its members and prior state lead to. */
export function poolStatus(
  name: string,
  members: readonly BackendStatus[],
  change: Partial<PoolStatus> = {},
): PoolStatus {
  const state: PoolState = members.map(
    ({ name: member, address, weight, state: admin, health, reachable }) => ({
      name: member,
      address: { text: address },
      weight,
      state: admin,
      health,
      ...(!reachable && { unreachable: true }),
    }),
  );
  const pool = {
    name,
    slots: 251,
    panicThreshold: 0,
    remembered: [
      members.map(({ name: member, address, weight, state: admin, health, reachable }) => ({
        name: member,
        address,
        weight,
        state: admin,
        health: health === 'up' ? ('up' as const) : ('down' as const),
        reachable,
      })),
    ],
    change: { queued: [] },
    ...change,
  };
  const { slots, panicThreshold, remembered } = pool;
  const tables = resolvePool({
    slots,
    panicThreshold,
    state,
    remembered: remembered.map((former) =>
      former.map(
        ({ reachable, address, ...one }): Member => ({
          ...one,
          address: { text: address },
          ...(!reachable && { unreachable: true }),
        }),
      ),
    ),
  });
  const owned = (member: string): number =>
    tables.owners.filter((owner) => tables.names[owner] === member).length;
  return {
    mode: tables.mode,
    layers: tables.layers,
    digests: { owners: tables.ownersDigest, alternates: tables.alternatesDigest },
    backends: members.map((member) => ({ ...member, slots: owned(member.name) })),
    ...pool,
  };
}

export function nodeStatus(change: Partial<NodeStatus> = {}): NodeStatus {
  return {
    node: 'edge-1',
    version: '0.1.0',
    pid: 4711,
    startedAt: SINCE,
    interface: 'eth0',
    keyFingerprint: '0011223344556677',
    flowHashVersion: 2,
    readiness: { ready: true, reasons: [], services: [] },
    config: { file: '/etc/anyhop/anyhop.yaml', loadedAt: SINCE },
    overrides: [],
    engine: {
      name: 'xdp',
      mode: 'driver',
      reason: 'fastest that works here',
      counters: { received: 10, sent: 10, sendFailed: null, missed: 0 },
    },
    image: { generation: 3, digest: 'ab'.repeat(32), bytes: 300_000 },
    services: [
      {
        name: 'http',
        vip: '203.0.113.10',
        protocol: 'tcp',
        portFirst: 80,
        portLast: 80,
        pool: 'web',
        hash: '5-tuple',
        secondChance: true,
        ...NO_TRAFFIC,
      },
    ],
    pools: [poolStatus('web', [backendStatus('web-1'), backendStatus('web-2')])],
    pathReports: { raised: 0, withoutSize: 0, unrelated: 0, lost: 0 },
    verdicts: { forwarded: { packets: 10, packetsPerSecond: 1 } },
    ...change,
  };
}
