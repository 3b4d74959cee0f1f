/** CSV as HAProxy writes it (RFC 4180): fields with commas, quotes or line feeds are in double quotes, and quotes in them doubled. */

/** What follows a closing quote, up to the next separator, is dropped. */
const FIELD = /(?:"([^"]*(?:""[^"]*)*)(?:"[^,\n]*|$)|([^,\n]*))(,|\n|$)/y;

/** Rows of fields; empty lines are left out. Never fails: a quote that is not closed ends with the text. */
export function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  for (let start = 0; start < text.length; ) {
    const feed = text.indexOf('\n', start);
    const line = text.slice(start, feed < 0 ? text.length : feed);
    if (line.includes('"')) {
      start = readRow(text, start, rows);
      continue;
    }
    // Nearly all lines, and five times as fast.
    if (line !== '') rows.push(line.split(','));
    start += line.length + 1;
  }
  return rows;
}

/** @returns where the next row begins */
function readRow(text: string, start: number, rows: string[][]): number {
  const row: string[] = [];
  FIELD.lastIndex = start;
  for (;;) {
    const [, quoted, plain = '', end] = FIELD.exec(text)!;
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ',') break;
  }
  if (row.length > 1 || row[0] !== '') rows.push(row);
  return FIELD.lastIndex;
}
