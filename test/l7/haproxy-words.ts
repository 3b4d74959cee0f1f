/**
 * HAProxy's configuration read back by rules of its manual (sections 2.1 to 2.3), without a line of the program: words of a line
 * after quotes and escapes, and entries of a map file. What would read the environment, or hide text in a comment, is an error.
 */

/** The words of one line. @throws Error for what the manual does not allow, for variables and for comments */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (char === '\n' || char === '\r' || char === '\0')
      throw new Error(`a line holds ${JSON.stringify(char)}`);
    if (quote === "'") {
      if (char === "'") quote = undefined;
      else word += char;
    } else if (char === '\\') {
      const [text, length] = escapeAt(line, i);
      word = (word ?? '') + text;
      i += length - 1;
    } else if (quote === '"') {
      if (char === '$') throw new Error(`a variable at ${i}: ${line}`);
      if (char === '"') quote = undefined;
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === ' ' || char === '\t') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === '#') throw new Error(`a comment at ${i}: ${line}`);
    else word = (word ?? '') + char;
  }
  if (quote !== undefined) throw new Error(`an open quote: ${line}`);
  if (word !== undefined) words.push(word);
  return words;
}

const NAMED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

/** What an escape stands for, and its length. A character that needs none keeps its backslash. */
function escapeAt(line: string, at: number): [string, number] {
  const next = line[at + 1];
  if (next === undefined) throw new Error(`a backslash at the end: ${line}`);
  const hex = /^x([0-9A-Fa-f]{2})/.exec(line.slice(at + 1, at + 4));
  if (hex !== null) return [String.fromCharCode(Number.parseInt(hex[1]!, 16)), 4];
  if (' #\\\'"$'.includes(next)) return [next, 2];
  return NAMED[next] === undefined ? [`\\${next}`, 2] : [NAMED[next], 2];
}

/** Key and value of each line (manual, converter `map`): blanks around them and lines that begin with `#` do not count. */
export function mapEntries(text: string): [string, string][] {
  if (/[\0\r]/.test(text)) throw new Error('a map holds NUL or CR');
  return text.split('\n').flatMap((line): [string, string][] => {
    const entry = line.replace(/^[ \t]+/, '');
    if (entry === '' || entry.startsWith('#')) return [];
    const [, key = '', value = ''] = /^([^ \t]+)[ \t]*(.*?)[ \t]*$/.exec(entry)!;
    return [[key, value]];
  });
}
