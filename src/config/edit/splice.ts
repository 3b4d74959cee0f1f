/** Parts of a text that are replaced by others; everything else stays byte for byte. */

export interface Splice {
  readonly from: number;
  /** Not included. */
  readonly to: number;
  readonly text: string;
}

export function insertion(at: number, text: string): Splice {
  return { from: at, to: at, text };
}

export function deletion(from: number, to: number): Splice {
  return { from, to, text: '' };
}

/** @param splices none overlaps another */
export function spliced(text: string, splices: readonly Splice[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const { from, to, text: part } of [...splices].sort((a, b) => a.from - b.from)) {
    parts.push(text.slice(at, from), part);
    at = to;
  }
  return parts.join('') + text.slice(at);
}

/** How the lines of a text end. */
export function endOfLine(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

/** Where the line of an offset begins. */
export function lineStart(text: string, at: number): number {
  return at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1;
}

/** Where the line of an offset ends, before its line break. */
export function lineEnd(text: string, at: number): number {
  const feed = text.indexOf('\n', at);
  if (feed < 0) return text.length;
  return text[feed - 1] === '\r' && feed > at ? feed - 1 : feed;
}

/** Where the next line begins; the end of the text after the last one. */
export function nextLine(text: string, at: number): number {
  const feed = text.indexOf('\n', at);
  return feed < 0 ? text.length : feed + 1;
}
