/**
 * Which servers are to be taken out because they fail requests: ten in a row, say. HAProxy's own "observe layer7" does not see an
 * answer that it asks another server about (retry-on), so a server that fails every GET would stay. Its retries tell. Pure.
 *
 * Counters say how many, not in which order: failures count as "in a row" from one look to the next while no answer is good.
 */
import type { ServerStat } from './haproxy/stats.js';

export interface Seen {
  readonly bad: number;
  readonly good: number;
  /** Failures since the last good answer. */
  readonly streak: number;
}

/** By server. */
export type SeenServers = ReadonlyMap<string, Seen>;

/** @param stat counters since HAProxy's worker started; smaller than `before` after a reload */
export function look(before: Seen | undefined, stat: ServerStat): Seen {
  const { responses, retries } = stat;
  const bad = (retries ?? 0) + (responses['5xx'] ?? 0);
  const good = (['1xx', '2xx', '3xx', '4xx'] as const).reduce((sum, name) => sum + (responses[name] ?? 0), 0);
  const isAnew = before === undefined || bad < before.bad || good < before.good;
  if (isAnew) return { bad, good, streak: 0 };
  if (good > before.good) return { bad, good, streak: 0 };
  return { bad, good, streak: before.streak + bad - before.bad };
}

/** After a server was taken out, its failures count from the beginning. */
export function forgiven(seen: Seen): Seen {
  return { ...seen, streak: 0 };
}
