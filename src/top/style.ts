/** Styles of text on a terminal, as sequences of ECMA-48. Every meaning that a colour has stands in the text as well. */
import { fit, safe, widthOf } from './text.js';

export type Style = 'bad' | 'warn' | 'note' | 'good' | 'bold' | 'dim' | 'reverse';

export interface Span {
  readonly text: string;
  readonly style?: Style | undefined;
}

/** One row of the screen. */
export type Line = readonly Span[];

const COLOURED: Readonly<Record<Style, string>> = {
  bad: '1;31',
  warn: '33',
  note: '36',
  good: '32',
  bold: '1',
  dim: '2',
  reverse: '7',
};
/** As NO_COLOR asks for: https://no-color.org. */
const UNCOLOURED: Readonly<Record<Style, string>> = {
  bad: '1',
  warn: '1',
  note: '',
  good: '',
  bold: '1',
  dim: '',
  reverse: '7',
};

/** What a terminal of `width` columns is sent for a line, without its position. What does not fit is cut. */
export function painted(line: Line, width: number, isColoured: boolean): string {
  const codes = isColoured ? COLOURED : UNCOLOURED;
  let left = width;
  let out = '';
  for (const { text, style } of line) {
    if (left <= 0) break;
    const shown = safe(text);
    const wide = Math.min(widthOf(shown), left);
    const cell = fit(text, wide);
    const code = style === undefined ? '' : codes[style];
    out += code === '' ? cell : `\x1b[${code}m${cell}\x1b[0m`;
    left -= wide;
  }
  return out;
}
