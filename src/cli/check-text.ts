/** The checks of a backend in one cell: the one that says most, how long it took, and how old its result is. */
import type { CheckStatus } from '../api/status.js';
import { took } from '../core/figures.js';

/** `tunnel 1.2 ms, 3s ago`, `http 80 FAILED 3s ago and 1 more`; `-` without checks. @param checks undefined from older nodes */
export function drawChecks(checks: readonly CheckStatus[] | undefined, now: Date): string {
  const [worst, ...others] = [...(checks ?? [])].sort((a, b) => severity(b) - severity(a));
  if (worst === undefined) return '-';
  return `${drawCheck(worst, now)}${others.length === 0 ? '' : ` and ${others.length} more`}`;
}

/** Of several that are as good, the slowest. */
function severity({ passes, last }: CheckStatus): number {
  if (last === undefined) return 3e9;
  const isBad = last.outcome !== 'good' || passes === false;
  return (isBad ? 4e9 : 0) + last.tookMs;
}

function drawCheck({ name, last }: CheckStatus, now: Date): string {
  if (last === undefined) return `${name}, none yet`;
  const age = `${drawAge(now.getTime() - Date.parse(last.at))} ago`;
  const words = { good: `${took(last.tookMs)},`, failed: 'FAILED', not_made: 'NOT MADE' } as const;
  return `${name} ${words[last.outcome]} ${age}`;
}

/** `0s`, `59s`, `12m`, `5h`, `3d`: a whole number, rounded down; 0s for what the clock says is still to come. */
export function drawAge(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const;
  const [unit, inMs] = units.find(([, size]) => ms >= size) ?? (['s', 1000] as const);
  return `${Math.max(0, Math.floor(ms / inMs))}${unit}`;
}
