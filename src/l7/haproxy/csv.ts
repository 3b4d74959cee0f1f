/** CSV as HAProxy writes it (RFC 4180): fields with commas, quotes or line feeds are in double quotes, and quotes in them doubled. */

/** What follows a closing quote, up to the next separator, is dropped. */
const FIELD = /(?:"([^"]*(?:""[^"]*)*)(?:"[^,\n]*|$)|([^,\n]*))(,|\n|$)/y;

/** Rows of fields; empty lines are left out. Never fails: a quote that is not closed ends with the text. */
export function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (FIELD.lastIndex = 0; FIELD.lastIndex < text.length || row.length > 0; ) {
    const [, quoted, plain = '', end] = FIELD.exec(text)!;
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  }
  return rows;
}
