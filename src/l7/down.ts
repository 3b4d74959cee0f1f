/** Why servers are down, in HAProxy's own words where it has them. HAProxy forgets a reason as soon as a check passes. Pure. */
import type { ServerStat } from './haproxy/stats.js';

/** A server that is down; kept until it is up again. */
export interface Down {
  readonly why: string;
  /** For the requests that it failed, and not by its checks. */
  readonly isTakenOut: boolean;
}

/** By `upstream/server`. */
export type DownServers = ReadonlyMap<string, Down>;

/** `DOWN`, `DOWN 1/2` (coming up), `UP`, `UP 1/3` (going down). */
const STATUS = /^(UP|DOWN)(?: (\d+\/\d+))?$/;
/** The last check passed, or there was none yet: what it says is not why the server is down. */
const NO_REASON = /^(?:L\dOK[A-Z]?|INI|UNK)?$/;
/** By "observe": HAProxy counted errors in answers. */
const OBSERVED = 'HANA';

/** @param before what was known at the last look @returns undefined for a server that is not down */
export function downNow(before: Down | undefined, stat: ServerStat): Down | undefined {
  if (STATUS.exec(stat.status)?.[1] !== 'DOWN') return undefined;
  const check = checkOf(stat);
  if (NO_REASON.test(check)) return before ?? { why: 'taken out', isTakenOut: true };
  // A check that failed since says more than requests that failed before.
  return { why: saidBy(stat), isTakenOut: check === OBSERVED };
}

/** `L7STS 500 Internal Server Error (1/2 checks)`; undefined when it is up and its checks pass. */
export function whyOf(stat: ServerStat, known: Down | undefined): string | undefined {
  const [, word, progress] = STATUS.exec(stat.status) ?? [];
  if (word === undefined || (word === 'UP' && progress === undefined)) return undefined;
  const why = downNow(known, stat)?.why ?? saidBy(stat);
  return progress === undefined ? why : `${why} (${progress} checks)`;
}

function saidBy(stat: ServerStat): string {
  const { code, description, last } = stat.check;
  const words = [checkOf(stat), code, last ?? description];
  return words.filter((word) => word !== undefined && word !== '').join(' ') || 'taken out';
}

/** While a check runs, HAProxy has `* ` before the result of the last one. */
function checkOf({ check }: ServerStat): string {
  return check.status?.replace(/^\* /, '') ?? '';
}
