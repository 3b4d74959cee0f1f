/** What a proxy host says of itself: its status, and whether it is well. */
import type { DiscoveryStatus } from '../api/status.js';
import type { L7Config } from '../config/l7/types.js';
import { AnyhopError } from '../core/errors.js';
import { VERSION } from '../core/version.js';
import { expiryOf } from './certificate-expiry.js';
import type { DownServers } from './down.js';
import type { DrainLoop } from './drain-loop.js';
import type { HaproxyInfo, HaproxyStats } from './haproxy/stats.js';
import type { L7Health } from './health-answer.js';
import { frontendsOf, upstreamsOf } from './statistics.js';
import type { CertificateStatus, HaproxyStatus, L7Status } from './status.js';
import type { Tier } from './tier.js';
import type { StatsWatch } from './watch.js';

export interface Observed {
  readonly tier: Tier;
  readonly watch: StatsWatch;
  readonly drains: DrainLoop;
  readonly startedAt: Date;
  /** Sources of servers that are asked here. */
  readonly discovery: () => readonly DiscoveryStatus[];
}

/** Not well: HAProxy takes no connections although forwarders may send some, or no upstream has a server for them. */
export function healthOf({ tier, watch, drains }: Pick<Observed, 'tier' | 'watch' | 'drains'>): L7Health {
  const { haproxy } = tier;
  if (haproxy === undefined) return { ok: false, why: 'this host is drained: HAProxy has ended' };
  if (drains.isUnfollowed)
    return { ok: false, why: 'this host drains, and not all forwarders have followed' };
  // Nobody sends new connections: a worker that ends those that it has need not answer.
  if (drains.stage === 'closing') return { ok: true };
  if (haproxy.state.state === 'stopping') return { ok: false, why: 'HAProxy is about to end' };
  if (!haproxy.isAlive()) return { ok: false, why: 'HAProxy does not answer' };
  if (watch.last === undefined || canServe(tier.inputs.config, watch.last, watch.down)) return { ok: true };
  return { ok: false, why: 'no upstream has a server that is up' };
}

interface Judged {
  readonly config: L7Config;
  readonly down: DownServers;
  readonly isGood: boolean;
}

const judged = new WeakMap<HaproxyStats, Judged>();

/** Judged once for each look at the statistics: every forwarder asks once a second, and thousands of servers take a while. */
function canServe(config: L7Config, stats: HaproxyStats, down: DownServers): boolean {
  const before = judged.get(stats);
  if (before?.config === config && before.down === down) return before.isGood;
  const upstreams = upstreamsOf(config, stats, down);
  const isGood = upstreams.length === 0 || upstreams.some(({ serves }) => serves);
  judged.set(stats, { config, down, isGood });
  return isGood;
}

export async function statusOf(observed: Observed): Promise<L7Status> {
  const { tier, watch, drains, startedAt } = observed;
  const { stats, info, oldWorkers } = await figures(tier);
  const { lastReload, inputs, config } = tier;
  const drain = drains.status(info?.connections);
  const discovery = observed.discovery();
  return {
    version: VERSION,
    startedAt: startedAt.toISOString(),
    configFile: config.file,
    stage: drains.stage,
    haproxy: haproxyStatus(tier, info, oldWorkers),
    ...(lastReload !== undefined && {
      lastReload: {
        at: lastReload.at.toISOString(),
        outcome: lastReload.applied === undefined ? ('refused' as const) : ('in force' as const),
        ...(lastReload.applied !== undefined && { applied: lastReload.applied }),
        problems: lastReload.problems,
      },
    }),
    ...(drain !== undefined && { drain }),
    drainDeadlineMs: config.l7.drainDeadlineMs,
    health: healthOf(observed),
    ...(discovery.length > 0 && { discovery }),
    frontends: frontendsOf(inputs.config, stats),
    upstreams: upstreamsOf(inputs.config, stats, watch.down),
    certificates: certificatesOf(tier, new Date()),
  };
}

/** Undefined while HAProxy does not answer. */
async function figures({
  haproxy,
}: Tier): Promise<{ stats?: HaproxyStats; info?: HaproxyInfo; oldWorkers?: number }> {
  if (haproxy === undefined) return {};
  try {
    const [stats, info, oldWorkers] = await Promise.all([
      haproxy.stats(),
      haproxy.info(),
      haproxy.oldWorkers(),
    ]);
    return { stats, info, oldWorkers };
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    return {};
  }
}

function haproxyStatus(tier: Tier, info: HaproxyInfo | undefined, oldWorkers = 0): HaproxyStatus {
  const { haproxy, counts, failedReloads } = tier;
  const state = haproxy?.state;
  return {
    state: state?.state ?? 'stopped',
    ...(state?.state === 'restarting' && { why: state.why }),
    ...(info !== undefined && {
      version: info.version,
      pid: info.pid,
      connections: info.connections,
      maxConnections: info.connectionsMax,
      droppedLogs: info.droppedLogs,
    }),
    oldWorkers,
    restarts: counts.restarts,
    reloads: counts.reloads,
    failedReloads,
    failedTransfers: counts.transfersLost,
  };
}

function certificatesOf({ inputs }: Tier, now: Date): CertificateStatus[] {
  return [...inputs.certificates].flatMap(([frontend, certificates]) =>
    certificates.map(({ path, notAfter }) => {
      const expiry = expiryOf({ notAfter }, now);
      return { frontend, file: path, notAfter: notAfter.toISOString(), ...(expiry && { expiry }) };
    }),
  );
}
