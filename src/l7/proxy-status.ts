/** What a proxy host says of itself: its status, and whether it is well. */
import { AnyhopError } from '../core/errors.js';
import { VERSION } from '../core/version.js';
import type { DrainLoop } from './drain-loop.js';
import type { HaproxyInfo, HaproxyStats } from './haproxy/stats.js';
import type { L7Health } from './health-answer.js';
import { frontendsOf, upstreamsOf } from './statistics.js';
import type { HaproxyStatus, L7Status } from './status.js';
import type { Tier } from './tier.js';
import type { StatsWatch } from './watch.js';

export interface Observed {
  readonly tier: Tier;
  readonly watch: StatsWatch;
  readonly drains: DrainLoop;
  readonly startedAt: Date;
}

/** Not well: HAProxy does not serve, or no upstream has a server for new clients. */
export function healthOf({ tier, watch, drains }: Pick<Observed, 'tier' | 'watch' | 'drains'>): L7Health {
  const { haproxy } = tier;
  if (haproxy === undefined) return { ok: false, why: 'this host is drained: HAProxy has ended' };
  if (drains.isUnfollowed)
    return { ok: false, why: 'this host drains, and HAProxy takes no more connections' };
  // A worker that ends its connections is alive, and need not answer.
  if (drains.stage !== 'closing' && !haproxy.isAlive()) return { ok: false, why: 'HAProxy does not answer' };
  const upstreams = upstreamsOf(tier.inputs.config, watch.last);
  if (watch.last === undefined || upstreams.length === 0) return { ok: true };
  const isUsable = upstreams.some(({ usable, panic, active }) => usable > 0 || (panic && active > 0));
  return isUsable ? { ok: true } : { ok: false, why: 'no upstream has a server that is up' };
}

export async function statusOf(observed: Observed): Promise<L7Status> {
  const { tier, drains, startedAt } = observed;
  const { stats, info, oldWorkers } = await figures(tier);
  const { lastReload, inputs, config } = tier;
  const drain = drains.status(info?.connections);
  return {
    version: VERSION,
    startedAt: startedAt.toISOString(),
    configFile: config.file,
    stage: drains.stage,
    haproxy: haproxyStatus(tier, info, oldWorkers),
    ...(lastReload !== undefined && {
      lastReload: {
        at: lastReload.at.toISOString(),
        outcome: lastReload.problems === undefined ? ('in force' as const) : ('refused' as const),
        problems: lastReload.problems ?? [],
      },
    }),
    ...(drain !== undefined && { drain }),
    health: healthOf(observed),
    frontends: frontendsOf(inputs.config, stats),
    upstreams: upstreamsOf(inputs.config, stats),
    certificates: [...inputs.certificates].flatMap(([frontend, certificates]) =>
      certificates.map(({ path, notAfter }) => ({ frontend, file: path, notAfter: notAfter.toISOString() })),
    ),
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
  const { haproxy, restarts, reloads, failedReloads, transfersLost } = tier;
  return {
    state: haproxy?.state.state ?? 'stopped',
    ...(info !== undefined && {
      version: info.version,
      pid: info.pid,
      connections: info.connections,
      maxConnections: info.connectionsMax,
    }),
    oldWorkers,
    restarts,
    reloads,
    failedReloads,
    failedTransfers: transfersLost,
  };
}
