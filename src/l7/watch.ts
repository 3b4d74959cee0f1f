/**
 * Looks at HAProxy's statistics all the time: for the health of this host, and for servers that fail requests in a row (passive.ts). How
 * often depends on how many servers there are, since HAProxy serves nobody while it lists them.
 */
import type { L7Upstream } from '../config/l7/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { printable } from '../core/printable.js';
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
const BACKEND = /^u_/;

/** A server that this watch took out, until it is up again: requests in a row that failed. */
export type TakenOut = ReadonlyMap<string, number>;

export class StatsWatch {
  readonly #tier: Tier;
  readonly #log: Logger;
  readonly #looks: Repeated;
  #seen = new Map<string, Seen>();
  /** By `upstream/server`. */
  #takenOut = new Map<string, number>();
  #last: { readonly stats: HaproxyStats; readonly daemon: HaproxyDaemon } | undefined;

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

  get takenOut(): TakenOut {
    return this.#takenOut;
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
      const stats = await daemon.stats();
      this.#last = { stats, daemon };
      await this.#judge(daemon, stats);
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error; // HAProxy reloads, ends or is down: others say so
    }
  }

  async #judge(daemon: HaproxyDaemon, { servers }: HaproxyStats): Promise<void> {
    const upstreams = new Map(this.#tier.config.l7.upstreams.map((upstream) => [upstream.name, upstream]));
    const seen = new Map<string, Seen>();
    const takenOut = new Map<string, number>();
    for (const stat of servers) {
      const name = stat.backend.replace(BACKEND, '');
      const upstream = name === stat.backend ? undefined : upstreams.get(name);
      const limit = limitOf(upstream);
      if (limit === undefined) continue;
      const key = serverKey(name, stat.server);
      const now = look(this.#seen.get(key), stat);
      const isUp = stat.status.startsWith('UP');
      const isFailing = isUp && now.streak >= limit && (await this.#takeOut(daemon, stat, key, now.streak));
      seen.set(key, isFailing ? forgiven(now) : now);
      const failures = isFailing ? now.streak : this.#takenOut.get(key);
      if (failures !== undefined && (isFailing || !isUp)) takenOut.set(key, failures);
    }
    this.#seen = seen;
    this.#takenOut = takenOut;
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

/** Failures in a row; undefined where no server is taken out, or nothing would bring it back. */
function limitOf(upstream: L7Upstream | undefined): number | undefined {
  return upstream?.health === undefined ? undefined : upstream.passiveErrors;
}
