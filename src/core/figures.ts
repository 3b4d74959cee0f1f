/**
 * Figures as people read them: few digits, and a unit. The same in a terminal and in a browser, so nothing here needs Node.
 */

/** `66 slots`, `1 slot`: the number without separators, at most one decimal. */
export function amount(count: number, unit: string): string {
  const rounded = Number(count.toFixed(1));
  return `${rounded} ${unit}${rounded === 1 ? '' : 's'}`;
}

/** A share from 0 to 1 as a percentage; only nothing reads as 0 %. */
export function percent(share: number): string {
  if (share === 0) return '0 %';
  if (share < 0.00005) return '< 0.01 %';
  if (share < 1 && share >= 0.99995) return '> 99.99 %';
  return `${Number((share * 100).toFixed(share < 0.1 ? 2 : 1))} %`;
}

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** `0`, `950`, `12.3k`, `4.56M`: three significant digits and an SI prefix. */
export function short(value: number): string {
  let scaled = value;
  let prefix = 0;
  // 999.5 would round to 1000.
  while (scaled >= 999.5 && prefix < PREFIXES.length - 1) {
    scaled /= 1000;
    prefix++;
  }
  return `${Number(scaled.toPrecision(3))}${PREFIXES[prefix]}`;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `4 s`, `12 min`, `3 h`, `8 d`: how long something lasts already, in the largest unit of which there are two. */
export function lasting(ms: number): string {
  const whole = Math.max(0, ms);
  if (whole < 2 * MINUTE_MS) return `${Math.floor(whole / SECOND_MS)} s`;
  if (whole < 2 * HOUR_MS) return `${Math.floor(whole / MINUTE_MS)} min`;
  if (whole < 2 * DAY_MS) return `${Math.floor(whole / HOUR_MS)} h`;
  return `${Math.floor(whole / DAY_MS)} d`;
}

/** `0.31 ms`, `12 ms`, `1.5 s`: how long something took, in two digits. */
export function took(ms: number): string {
  return ms < 1000 ? `${Number(ms.toPrecision(2))} ms` : `${Number((ms / 1000).toPrecision(2))} s`;
}
