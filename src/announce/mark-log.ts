/** Changes of what is announced as log lines: VIPs that change in the same way share one. */
import { listed } from '../core/listed.js';
import type { Logger } from '../core/log.js';
import type { Marks } from './decide.js';

export function logMarks(before: Marks, now: Marks, log: Logger): void {
  const groups = new Map<string, string[]>();
  for (const [vip, { state, reason }] of now) {
    if (state === (before.get(vip)?.state ?? 'withdrawn')) continue;
    const key = `${state} ${reason}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [vip]);
    else group.push(vip);
  }
  for (const vips of groups.values()) {
    const { state, reason } = now.get(vips[0]!)!;
    const is = vips.length === 1 ? 'is' : 'are';
    const fields = { event: state, vips: vips.slice(0, VIPS_LOGGED_MAX), count: vips.length, reason };
    const text = `${listed(vips)} ${is} ${state}: ${reason}`;
    if (state === 'announced') log.info(fields, text);
    else log.warn(fields, text);
  }
}

/** A line of the log must stay readable. */
const VIPS_LOGGED_MAX = 100;
