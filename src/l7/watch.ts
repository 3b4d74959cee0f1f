/**
 * Looks at HAProxy's statistics all the time: for the health of this host, and for servers that fail requests in a row (passive.ts). How
 * often depends on how many servers there are, since HAProxy serves nobody while it lists them.
 */
import type { L7Upstream } from '../config/l7/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { printable } from '../core/printable.js';
import type { ServerTarget } from './api.js';
import { type Down, type DownServers, downNow } from './down.js';
import type { HaproxyDaemon } from './haproxy/haproxy.js';
import type { HaproxyStats, ServerStat } from './haproxy/stats.js';
import { forgiven, look, type Seen } from './passive.js';
import { Repeated } from './repeated.js';
import { serverKey } from './servers.js';
import type { Tier } from './tier.js';

const INTERVAL_MS_MIN = 1_000;
const INTERVAL_MS_MAX = 10_000;
/** 2,000 servers are listed in 20 ms. */
const MS_PER_SERVER = 4;
/** Backends whose servers are checked; the panic twins are not. */
const CHECKED = 'u_';
const PANIC = 'p_';

export class StatsWatch {
  readonly #tier: Tier;
  readonly #log: Logger;
  readonly #looks: Repeated;
  /** By `upstream/server`. */
  #seen = new Map<string, Seen>();
  #down: DownServers = new Map();
  #last:
    | { readonly stats: HaproxyStats; readonly daemon: HaproxyDaemon; readonly askedAtMs: number }
    | undefined;

  constructor(tier: Tier, log: Logger) {
    this.#tier = tier;
    this.#log = log;
    this.#looks = new Repeated({
      what: "the look at HAProxy's statistics",
      everyMs: () => this.#everyMs(),
      task: () => this.#look(),
      log,
    });
  }

  /** Of the HAProxy that runs now; undefined before the first look at it. */
  get last(): HaproxyStats | undefined {
    return this.#last?.daemon === this.#tier.haproxy ? this.#last?.stats : undefined;
  }

  /** Requests at a server, by the last look that began after a moment; undefined without one. */
  sessionsOf({ upstream, server }: ServerTarget, sinceMs: number): number | undefined {
    const { last } = this;
    if (last === undefined || this.#last!.askedAtMs <= sinceMs) return undefined;
    const parts = [`${CHECKED}${upstream}`, `${PANIC}${upstream}`];
    return last.servers
      .filter((stat) => stat.server === server && parts.includes(stat.backend))
      .reduce((sum, { sessions }) => sum + (sessions.current ?? 0), 0);
  }

  get down(): DownServers {
    return this.#down;
  }

  close(): Promise<void> {
    return this.#looks.close();
  }

  #everyMs(): number {
    const rows = this.#tier.config.l7.upstreams.reduce(
      (sum, { servers, panicThreshold }) => sum + servers.length * (panicThreshold > 0 ? 2 : 1),
      0,
    );
    return Math.min(INTERVAL_MS_MAX, Math.max(INTERVAL_MS_MIN, rows * MS_PER_SERVER));
  }

  async #look(): Promise<void> {
    const daemon = this.#tier.haproxy;
    if (daemon === undefined) return;
    try {
      const askedAtMs = performance.now();
      const stats = await daemon.stats();
      this.#last = { stats, daemon, askedAtMs };
      await this.#judge(daemon, stats);
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error; // HAProxy reloads, ends or is down: others say so
    }
  }

  async #judge(daemon: HaproxyDaemon, { servers }: HaproxyStats): Promise<void> {
    const upstreams = new Map(this.#tier.config.l7.upstreams.map((upstream) => [upstream.name, upstream]));
    const seen = new Map<string, Seen>();
    const down = new Map<string, Down>();
    for (const stat of servers) {
      const upstream = stat.backend.startsWith(CHECKED) ? upstreams.get(stat.backend.slice(2)) : undefined;
      if (upstream === undefined) continue;
      const key = serverKey(upstream.name, stat.server);
      const now = look(this.#seen.get(key), stat);
      const isFailing = stat.status.startsWith('UP') && now.streak >= limitOf(upstream);
      if (isFailing && (await this.#takeOut(daemon, stat, key, now.streak))) {
        down.set(key, { why: `${now.streak} requests in a row failed`, isTakenOut: true });
        seen.set(key, forgiven(now));
        continue;
      }
      seen.set(key, now);
      const reason = downNow(this.#down.get(key), stat);
      if (reason !== undefined) down.set(key, reason);
    }
    this.#seen = seen;
    this.#down = down;
  }

  /** @returns false when HAProxy does not do it; the next look tries again */
  async #takeOut(
    daemon: HaproxyDaemon,
    stat: ServerStat,
    server: string,
    failures: number,
  ): Promise<boolean> {
    const answer = await daemon.command(`set server ${stat.backend}/${stat.server} health down`);
    const isDone = answer.trim() === '';
    const fields = { event: 'l7_server_failing', server, failures } as const;
    if (isDone)
      this.#log.warn(
        fields,
        `${server} is taken out until its checks pass again: ${failures} requests in a row failed`,
      );
    else this.#log.error(fields, `${server} cannot be taken out: ${printable(answer.trim())}`);
    return isDone;
  }
}

/** Failures in a row; none where nothing would bring the server back. */
function limitOf({ health, passiveErrors }: L7Upstream): number {
  return health === undefined ? Number.POSITIVE_INFINITY : (passiveErrors ?? Number.POSITIVE_INFINITY);
}
