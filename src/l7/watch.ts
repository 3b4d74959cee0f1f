/**
 * Looks at HAProxy's statistics all the time: for the health of this host, and for servers that fail requests in a row (passive.ts). How
 * often depends on how many servers there are, since HAProxy serves nobody while it lists them.
 */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { HaproxyDaemon } from './haproxy/haproxy.js';
import type { HaproxyStats } from './haproxy/stats.js';
import { forgiven, look, type Seen } from './passive.js';
import type { Tier } from './tier.js';

const INTERVAL_MS_MIN = 1_000;
const INTERVAL_MS_MAX = 10_000;
/** 2,000 servers are listed in 20 ms. */
const MS_PER_SERVER = 4;

export class StatsWatch {
  readonly #tier: Tier;
  readonly #log: Logger;
  #seen = new Map<string, Seen>();
  #last: { readonly stats: HaproxyStats; readonly daemon: HaproxyDaemon } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(tier: Tier, log: Logger) {
    this.#tier = tier;
    this.#log = log;
    this.#arm();
  }

  /** Of the HAProxy that runs now; undefined before the first. */
  get last(): HaproxyStats | undefined {
    return this.#last?.daemon === this.#tier.haproxy ? this.#last?.stats : undefined;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    if (this.#isClosed) return;
    const { upstreams } = this.#tier.config.l7;
    const servers = upstreams.reduce(
      (sum, one) => sum + one.servers.length * (one.panicThreshold > 0 ? 2 : 1),
      0,
    );
    const delayMs = Math.min(INTERVAL_MS_MAX, Math.max(INTERVAL_MS_MIN, servers * MS_PER_SERVER));
    this.#timer = setTimeout(() => void this.#look().finally(() => this.#arm()), delayMs).unref();
  }

  async #look(): Promise<void> {
    const daemon = this.#tier.haproxy;
    if (daemon === undefined) return;
    try {
      const stats = await daemon.stats();
      this.#last = { stats, daemon };
      await this.#takeOut(daemon, stats);
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error; // HAProxy reloads or is down: its supervisor says so
    }
  }

  async #takeOut(daemon: HaproxyDaemon, { servers }: HaproxyStats): Promise<void> {
    const limits = new Map(
      this.#tier.config.l7.upstreams.map(({ name, passiveErrors }) => [`u_${name}`, passiveErrors]),
    );
    const next = new Map<string, Seen>();
    for (const stat of servers) {
      const limit = limits.get(stat.backend);
      if (limit === undefined) continue;
      const key = `${stat.backend}/${stat.server}`;
      let seen = look(this.#seen.get(key), stat);
      if (seen.streak >= limit && stat.status.startsWith('UP')) {
        await daemon.command(`set server ${key} health down`);
        const text = `${key.slice(2)} is taken out until its checks pass again: ${seen.streak} requests in a row failed`;
        this.#log.warn({ event: 'l7_server_failing', server: key.slice(2), failures: seen.streak }, text);
        seen = forgiven(seen);
      }
      next.set(key, seen);
    }
    this.#seen = next;
  }
}
