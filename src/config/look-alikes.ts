/**
 * Finds characters that look like YAML syntax but are not: no-break spaces, typographic quotes, invisible characters, often
 * copied from a web page. YAML reads them as text and complains about something else, often on another line.
 */

export interface LookAlike {
  readonly offset: number;
  readonly message: string;
}

const SPACES = '\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000';
const INVISIBLE = '\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff';
const QUOTES = '\u00ab\u00bb\u2018-\u201f\u2039\u203a\u300c\u300d\uff02\uff07';
const DASHES = '\u2010-\u2015\u2212\uff0d';
const COLON = '\uff1a';
const BREAKS = '\u0085\u2028\u2029';

const NAMES: Readonly<Record<string, string>> = {
  '\u00a0': 'no-break space',
  '\u00ad': 'soft hyphen',
  '\u200b': 'zero-width space',
  '\u2010': 'typographic hyphen',
  '\u2013': 'en dash',
  '\u2014': 'em dash',
  '\u2018': 'left single quotation mark',
  '\u2019': 'right single quotation mark',
  '\u201c': 'left double quotation mark',
  '\u201d': 'right double quotation mark',
  '\u2028': 'line separator',
  '\u2212': 'minus sign',
  '\u3000': 'ideographic space',
  '\ufeff': 'byte order mark, which may only begin the file',
  '\uff1a': 'fullwidth colon',
};

/** What to write instead, by kind. */
const KINDS: readonly (readonly [characters: RegExp, name: string, advice: string])[] = [
  [new RegExp(`[${SPACES}]`), 'another kind of space', 'YAML accepts only the plain space: use that'],
  [new RegExp(`[${INVISIBLE}]`), 'an invisible character', 'delete it'],
  [new RegExp(`[${QUOTES}]`), 'a typographic quote', `YAML's quotes are " and ': use these`],
  [new RegExp(`[${DASHES}]`), 'a dash', 'a list entry begins with a plain hyphen: write "- "'],
  [new RegExp(COLON), 'another kind of colon', 'a key ends with a plain colon and a space: write ": "'],
  [new RegExp(`[${BREAKS}]`), 'another kind of line break', 'lines end with a line feed: use that'],
  [/\r/, 'carriage return', 'lines end with a line feed: save the file with Unix line ends'],
];

const IN_KEY = new RegExp(`[${SPACES}${INVISIBLE}${QUOTES}${COLON}${BREAKS}]|^[${DASHES}]`);
/** Around a value, instead of a plain space or quote. */
const AROUND = new RegExp(
  `^[${SPACES}${INVISIBLE}${QUOTES}]|[${SPACES}${INVISIBLE}](?=[${SPACES}${INVISIBLE}]*$)`,
);

/** The first look-alike in a key. No key of the config contains one. */
export function lookAlikeInKey(source: string): LookAlike | undefined {
  return find(IN_KEY, source);
}

/** The first look-alike at the start or end of an unquoted value. */
export function lookAlikeAround(source: string): LookAlike | undefined {
  return find(AROUND, source);
}

/** Quoted text and comments, which are not searched. Text after an unclosed quote is. */
const QUOTED_OR_COMMENT = /"(?:[^"\\]|\\.)*"|'[^']*'|(?:^|[ \t])#.*/g;
const INDENTATION = new RegExp(`^[ \\t]*([${SPACES}${INVISIBLE}])`);
const LIST_DASH = new RegExp(`^[ \\t]*([${DASHES}])[ \\t${SPACES}]`);
const AFTER_SIGN = new RegExp(`[-:,?{}[\\]][ \\t]*([${SPACES}${INVISIBLE}${QUOTES}])`);
const AFTER_KEY = new RegExp(`^[ \\t-]*[\\w.-]+([${COLON}])`);
const BREAK = new RegExp(`([${BREAKS}]|\\r(?!$))`);

/** The rest of a longer line is not searched, to limit the work. */
const LINE_CHARS_MAX = 1000;

/**
 * Look-alikes where YAML expects syntax, at most one per line: the likely causes of a syntax error.
 * @param lines number of lines to search
 */
export function structuralLookAlikes(text: string, lines: number): LookAlike[] {
  const found: LookAlike[] = [];
  let offset = 0;
  for (const line of text.split('\n', lines)) {
    const bare = line.slice(0, LINE_CHARS_MAX).replace(QUOTED_OR_COMMENT, (part) => ' '.repeat(part.length));
    const at = [INDENTATION, LIST_DASH, AFTER_SIGN, AFTER_KEY, BREAK]
      .map((place) => place.exec(bare))
      .flatMap((match) => (match === null ? [] : match.index + match[0].lastIndexOf(match[1])));
    if (at.length > 0) {
      const first = Math.min(...at);
      const where = INDENTATION.test(bare) && bare.slice(0, first).trim() === '' ? ' in the indentation' : '';
      found.push({ offset: offset + first, message: describe(line[first], where) });
    }
    offset += line.length + 1;
  }
  return found;
}

function find(pattern: RegExp, source: string): LookAlike | undefined {
  const offset = source.search(pattern);
  return offset < 0 ? undefined : { offset, message: describe(source[offset], '') };
}

function describe(character: string, where: string): string {
  const [, kind, advice] = KINDS.find(([characters]) => characters.test(character))!;
  const code = character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  return `found U+${code} (${NAMES[character] ?? kind})${where}; ${advice}`;
}
