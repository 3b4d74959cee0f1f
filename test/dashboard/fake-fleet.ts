/** Statuses of nodes that do not exist, of any size. */
import type { BackendStatus, NodeStatus, PoolStatus, ServiceStatus } from '#anyhop/api/status.js';

export interface FleetSize {
  readonly pools: number;
  readonly backendsPerPool: number;
}

const SINCE = '2026-11-30T01:00:00.000Z';
const SLOTS = 65_537;
const COUNTERS = { missed: 0, sendFailed: 0 };

/** A node whose backends are all up. @param second counts up the rates, so that each status differs from the one before */
export function statusOf({ pools, backendsPerPool }: FleetSize, second = 0, node = 'edge-1'): NodeStatus {
  const named = Array.from({ length: pools }, (_, i) => `pool-${i + 1}`);
  return {
    node,
    version: '0.1.0',
    pid: 1,
    startedAt: SINCE,
    interface: 'eth0',
    keyFingerprint: '00',
    flowHashVersion: 2,
    readiness: {
      ready: true,
      reasons: [],
      services: named.map((pool) => ({ name: `service-${pool}`, ready: true, pool })),
    },
    config: { file: '/etc/anyhop/anyhop.yaml', loadedAt: SINCE },
    overrides: [],
    engine: { name: 'xdp', mode: 'native', reason: 'the fastest here', counters: COUNTERS as never },
    image: { generation: 7, digest: '00', bytes: 1_000_000 },
    services: named.map((pool, i) => service(pool, i, second)),
    pools: named.map((name, i) => poolOf(name, i, backendsPerPool, second)),
    pathReports: {} as never,
    verdicts: {
      forwarded: { packets: 1_000_000 + 1_000 * second, packetsPerSecond: 1_000 + (second % 7) },
      drop_no_service: { packets: 12 + second, packetsPerSecond: 1 + (second % 3) },
    },
  };
}

function service(pool: string, index: number, second: number): ServiceStatus {
  return {
    name: `service-${pool}`,
    vip: `203.0.113.${(index % 250) + 1}`,
    protocol: 'tcp',
    portFirst: 80,
    portLast: 80,
    pool,
    hash: '5-tuple',
    secondChance: true,
    ...traffic(index, second),
  };
}

function poolOf(name: string, index: number, count: number, second: number): PoolStatus {
  const slots = Math.floor(SLOTS / count);
  return {
    name,
    mode: 'normal',
    slots: SLOTS,
    layers: 4,
    panicThreshold: 0,
    remembered: [],
    change: { queued: [] },
    digests: { owners: `${index}`.padStart(64, '0'), alternates: '0'.repeat(64) },
    backends: Array.from({ length: count }, (_, i) => backend(i, index, slots, second)),
  };
}

function backend(index: number, pool: number, slots: number, second: number): BackendStatus {
  return {
    name: `web-${index + 1}`,
    address: `10.${pool}.0.${index + 1}`,
    id: index + 1,
    hasAgent: true,
    weight: 1,
    state: 'active',
    health: 'up',
    healthSince: SINCE,
    reachable: true,
    slots,
    agent: { reachable: true, at: SINCE, connections: 10 + ((index + second) % 5) },
    nextHop: { interface: 'eth0', mac: '02:00:00:00:00:01', mtu: 1500 },
    ...traffic(index + pool, second),
  };
}

function traffic(index: number, second: number) {
  const packetsPerSecond = 100 + ((index * 37 + second * 11) % 50);
  return {
    packets: packetsPerSecond * second,
    bytes: packetsPerSecond * second * 600,
    packetsPerSecond,
    bytesPerSecond: packetsPerSecond * 600,
  };
}

/** The same with another mark of one backend. */
export function withBackend(
  status: NodeStatus,
  pool: string,
  name: string,
  change: Partial<BackendStatus>,
): NodeStatus {
  const pools = status.pools.map((each) =>
    each.name !== pool
      ? each
      : {
          ...each,
          backends: each.backends.map((one) => (one.name === name ? { ...one, ...change } : one)),
        },
  );
  return { ...status, pools };
}
