/** Figures and times as the page shows them, beside those of core/figures.ts. */

/** Making one for each number would cost more than all the rest of a cell. */
const WHOLE = new Intl.NumberFormat('en');

/** `65,537`, in full. */
export function whole(value: number): string {
  return WHOLE.format(value);
}

/** `02:05:10`, in the time zone of the browser. @param at ISO 8601 or milliseconds */
export function clock(at: string | number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

/** `1 backend`, `2 backends` in full. */
export function counted(count: number, unit: string): string {
  return `${whole(count)} ${unit}${count === 1 ? '' : 's'}`;
}
