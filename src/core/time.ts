/**
 * Times as people read and write them: a duration is a whole number with its unit, `500ms`, `2s`, `5m`, `1h`, `30d`, `1y` (365
 * days); a moment is `12:05:00`. JSON and the fields of the log have ISO 8601.
 */

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, y: 365 * 86_400_000 } as const;
type Unit = keyof typeof UNITS_MS;

export const DURATION_PATTERN = /^([0-9]{1,9})(ms|s|m|h|d|y)$/;

/** Milliseconds, 0 or more; undefined for anything but digits and a unit, and beyond what a number holds exactly. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION_PATTERN.exec(text);
  const ms = match === null ? undefined : Number(match[1]) * UNITS_MS[match[2] as Unit];
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/**
 * The shortest text in hours or smaller units that `parseDuration` reads as this duration.
 * @param ms a whole number, 0 or more
 */
export function formatDuration(ms: number): string {
  const units: readonly Unit[] = ['h', 'm', 's'];
  const unit = units.find((each) => ms > 0 && ms % UNITS_MS[each] === 0) ?? 'ms';
  return `${ms / UNITS_MS[unit]}${unit}`;
}

/** `12:05:00`, with the date before it if that is not today's; in this machine's time zone. */
export function clockTime(iso: string, now = new Date()): string {
  const at = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
  if (at.toDateString() === now.toDateString()) return time;
  return `${[at.getFullYear(), at.getMonth() + 1, at.getDate()].map(two).join('-')} ${time}`;
}
