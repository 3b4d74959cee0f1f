/** Figures and times as the page shows them. */

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** `0`, `950`, `12.3 k`, `4.56 M`: three significant digits and an SI prefix. */
export function short(value: number, unit = ''): string {
  let scaled = value;
  let prefix = 0;
  while (scaled >= 999.5 && prefix < PREFIXES.length - 1) {
    scaled /= 1000;
    prefix++;
  }
  const number = `${Number(scaled.toPrecision(3))}`;
  const rest = `${PREFIXES[prefix]}${unit}`;
  return rest === '' ? number : `${number} ${rest}`;
}

/** `65,537`, in full. */
export function whole(value: number): string {
  return value.toLocaleString('en');
}

export function percent(share: number): string {
  if (share > 0 && share < 0.0005) return '< 0.1 %';
  return `${(share * 100).toFixed(1)} %`;
}

/** `3 s`, `12 min`, `5 h`, `3 d`: how long something lasts already. */
export function lasting(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** `02:05:10`, in the time zone of the browser. @param at ISO 8601 or milliseconds */
export function clock(at: string | number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

/** `1 backend`, `2 backends`. */
export function amount(count: number, unit: string): string {
  return `${whole(count)} ${unit}${count === 1 ? '' : 's'}`;
}
