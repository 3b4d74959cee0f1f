/**
 * Which servers are to be taken out because they fail requests: ten in a row, say. HAProxy's own "observe layer7" does not see an
 * answer that it asks another server about (retry-on), so a server that fails every GET would stay. Its counters tell. Pure.
 *
 *   what the server does      counters of its row                        counted by HAProxy itself
 *   answers 500, retried      wretr 1, wredis 1                          no
 *   no answer, retried        wretr 1, wredis 1 (eresp too, or not)      no
 *   refuses connections       wredis 1                                   no
 *   answers 500, passed on    hrsp_5xx 1                                 yes
 *   no answer, passed on      eresp 1 or 2                               yes; so this is not counted here
 *
 * Counters say how many, not in which order: failures count as "in a row" from one look to the next while no answer is good.
 */
import type { ServerStat } from './haproxy/stats.js';

interface Counters {
  readonly retries: number;
  readonly redispatches: number;
  readonly errors: number;
  readonly good: number;
}

export interface Seen extends Counters {
  /** Failures since the last good answer. */
  readonly streak: number;
}

const GOOD = ['1xx', '2xx', '3xx', '4xx'] as const;

/** @param stat counters since HAProxy's worker started; smaller than `before` after a reload */
export function look(before: Seen | undefined, stat: ServerStat): Seen {
  const now = countersOf(stat);
  if (before === undefined || isAnew(before, now) || now.good > before.good) return { ...now, streak: 0 };
  // A retry at another server counts in both.
  const sentOn = Math.max(now.retries - before.retries, now.redispatches - before.redispatches);
  return { ...now, streak: before.streak + sentOn + now.errors - before.errors };
}

/** After a server was taken out, its failures count from the beginning. */
export function forgiven(seen: Seen): Seen {
  return { ...seen, streak: 0 };
}

function countersOf({ responses, retries, redispatches }: ServerStat): Counters {
  return {
    retries: retries ?? 0,
    redispatches: redispatches ?? 0,
    errors: responses['5xx'] ?? 0,
    good: GOOD.reduce((sum, name) => sum + (responses[name] ?? 0), 0),
  };
}

function isAnew(before: Counters, now: Counters): boolean {
  return (['retries', 'redispatches', 'errors', 'good'] as const).some((name) => now[name] < before[name]);
}
