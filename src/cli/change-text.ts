/** What became of a change that a node was told, for people: a sentence a pool, and what there is beside the pools. */
import type { ChangeReport, PoolChangeReport } from '../control/api.js';
import { clockTime, someOf } from './format.js';

export function drawChange({ pools, changes, warnings }: ChangeReport, now = new Date()): string {
  const unchanged = pools.filter(({ effect }) => effect === 'unchanged').map(({ pool }) => pool);
  const lines = [
    ...pools.filter(({ effect }) => effect !== 'unchanged').map((pool) => drawPoolChange(pool, now)),
    ...changes,
    ...(unchanged.length > 0 ? [`unchanged: ${someOf(unchanged)}`] : []),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  if (pools.some(({ effect }) => effect === 'queued')) {
    lines.push('What waits is in "anyhop status"; --force would not wait, and may break connections.');
  }
  if (lines.length === 0) lines.push('nothing has changed');
  return `${lines.join('\n')}\n`;
}

function drawPoolChange(report: PoolChangeReport, now: Date): string {
  const what = report.changes.length > 0 ? `: ${report.changes.join('; ')}` : '';
  return `pool ${report.pool}: ${drawEffect(report, now)}${what}`;
}

/** `in force, settles at 12:05:00` */
export function drawEffect({ effect, dueAt, waitsFor, settlesAt }: PoolChangeReport, now: Date): string {
  const settles = settlesAt === undefined ? '' : `, settles at ${clockTime(settlesAt, now)}`;
  if (effect === 'in_force') return `in force${settles}`;
  if (effect !== 'queued') return effect;
  const until = dueAt === undefined ? '' : ` until ${clockTime(dueAt, now)}`;
  if (waitsFor === undefined) return `waits${until}, for the change before it to settle`;
  return `waits${until} at the latest, for ${someOf(waitsFor)} to be drained`;
}
