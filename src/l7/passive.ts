/**
 * Which servers are to be taken out because they fail requests: ten in a row, say. HAProxy's own "observe layer7" does not see an
 * answer that it asks another server about (retry-on), and counts anew after each check that passes. So a server that fails every request
 * would stay. Its counters tell. Pure.
 *
 *   what the server does with a request           counters of its row
 *   answers 500, and another server is asked      stot 1, wretr 1, wredis 1
 *   refuses the connection, another one is asked  stot 1, wredis 1
 *   resets it, another one is asked               stot 1, wretr 1, wredis 1, eresp 1
 *   answers 500, which is passed on               stot 1, hrsp_5xx 1
 *   resets it, and the client gets 502            stot 1, eresp 2
 *   does not answer, or no HTTP: 502 or 504       stot 1, eresp 1
 *
 * Counters say how many, not in which order: failures count as "in a row" from one look to the next while no answer is good. An interim
 * answer (100 Continue) counts as good.
 */
import type { ServerStat } from './haproxy/stats.js';

interface Counters {
  /** Requests that have ended. */
  readonly ended: number;
  readonly retries: number;
  readonly redispatches: number;
  /** Requests without a whole answer; some count twice. */
  readonly unanswered: number;
  /** Answers of 5xx. */
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
  return { ...now, streak: before.streak + failures(before, now) };
}

/** After a server was taken out, its failures count from the beginning. */
export function forgiven(seen: Seen): Seen {
  return { ...seen, streak: 0 };
}

/** Between two looks without a good answer. */
function failures(before: Counters, now: Counters): number {
  const more = (name: keyof Counters): number => now[name] - before[name];
  // At another server, a retry counts in both.
  const sentOn = Math.max(more('retries'), more('redispatches'));
  const least = Math.max(sentOn, Math.ceil(more('unanswered') / 2));
  const most = sentOn + more('unanswered');
  // Every request that ended failed, but for long answers that began before, and clients that gave up.
  return more('errors') + Math.min(most, Math.max(least, more('ended') - more('errors')));
}

function countersOf({ responses, retries, redispatches, responseErrors, sessions }: ServerStat): Counters {
  return {
    ended: (sessions.total ?? 0) - (sessions.current ?? 0),
    retries: retries ?? 0,
    redispatches: redispatches ?? 0,
    unanswered: responseErrors ?? 0,
    errors: responses['5xx'] ?? 0,
    good: GOOD.reduce((sum, name) => sum + (responses[name] ?? 0), 0),
  };
}

function isAnew(before: Counters, now: Counters): boolean {
  return (Object.keys(now) as (keyof Counters)[]).some((name) => now[name] < before[name]);
}
