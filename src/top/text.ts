/**
 * Text in cells of a terminal. A cell holds one column; signs of East Asia and pictures take two, marks that are set on a letter none. All text
 * goes through `printable` here, so nothing that another machine says can move the cursor.
 */
import { printable } from '../core/printable.js';

const PLAIN = /^[\x20-\x7e]*$/;
const ON_A_LETTER = /\p{M}/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
/** Longer ones are cut: no terminal is so wide. */
const CHARS_MAX = 1024;
/** Where something was cut off. ASCII, since not every terminal reads UTF-8. */
const CUT = '~';

/** One safe line. */
export function safe(text: string): string {
  return printable(text, CHARS_MAX);
}

/** @param text a safe line */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += widthOfChar(char);
  return width;
}

function widthOfChar(char: string): number {
  return ON_A_LETTER.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
}

/** A safe line of exactly `width` columns: cut, or filled up with blanks. */
export function fit(text: string, width: number, isRight = false): string {
  if (width <= 0) return '';
  const line = safe(text);
  const all = widthOf(line);
  if (all <= width) return isRight ? ' '.repeat(width - all) + line : line + ' '.repeat(width - all);
  let kept = '';
  let used = 0;
  for (const char of line) {
    const more = widthOfChar(char);
    if (used + more > width - CUT.length) break;
    kept += char;
    used += more;
  }
  return kept + CUT + ' '.repeat(width - used - CUT.length);
}
