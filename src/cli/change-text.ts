/** The outcome of a change, as text: one line per pool, then what changed outside the pools. */
import type { ChangeReport, PoolChangeReport } from '../api/api.js';
import type { QueuedStatus } from '../api/status.js';
import { clockTime } from '../core/time.js';
import { someOf } from './format.js';

export function drawChange({ pools, changes, warnings }: ChangeReport, now = new Date()): string {
  const isNews = ({ effect, takenBack }: PoolChangeReport): boolean =>
    effect !== 'unchanged' || takenBack !== undefined;
  const unchanged = pools.filter((pool) => !isNews(pool)).map(({ pool }) => pool);
  const lines = [
    ...pools.filter(isNews).flatMap((pool) => drawPoolChange(pool, now)),
    ...changes,
    ...(unchanged.length > 0 ? [`unchanged: ${someOf(unchanged)}`] : []),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  if (pools.some(({ effect }) => effect === 'queued')) {
    lines.push(
      '"anyhop changes" lists the changes that wait, "anyhop cancel ID" drops one, "anyhop force ID" puts one in force now and may break connections.',
    );
  }
  if (lines.length === 0) lines.push('nothing has changed');
  return `${lines.join('\n')}\n`;
}

function drawPoolChange(report: PoolChangeReport, now: Date): string[] {
  const { pool, effect, changes, id, came = [], takenBack = [] } = report;
  const what = changes.length > 0 ? `: ${changes.join('; ')}` : '';
  const named = id === undefined ? '' : ` (${id})`;
  return [
    ...(effect === 'unchanged' ? [] : [`pool ${pool}: ${drawEffect(report, now)}${what}${named}`]),
    ...came.map((step) => `pool ${pool}: also in force now: ${drawQueued(step)}`),
    ...takenBack.map((step) => `pool ${pool}: no longer waits: ${drawQueued(step)}`),
  ];
}

/** `web-1 weight 1 -> 2 (web:3)` */
export function drawQueued({ id, changes }: QueuedStatus): string {
  return `${changes.join('; ')} (${id})`;
}

/** `in force, settles at 12:05:00` */
export function drawEffect({ effect, dueAt, waitsFor, settlesAt }: PoolChangeReport, now: Date): string {
  const settles = settlesAt === undefined ? '' : `, settles at ${clockTime(settlesAt, now)}`;
  if (effect === 'in_force') return `in force${settles}`;
  if (effect !== 'queued') return effect;
  const until = dueAt === undefined ? '' : ` until ${clockTime(dueAt, now)}`;
  if (waitsFor === undefined) return `waits${until}, until one of the two changes before it has settled`;
  return `waits${until} at the latest, for ${someOf(waitsFor)} to be drained`;
}
