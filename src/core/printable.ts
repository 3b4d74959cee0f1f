/**
 * Makes text from elsewhere safe to show. A terminal obeys escape sequences of any origin: a health answer, an agent's report or
 * a file name could clear the screen, change the window's title, or hide a line. So invisible characters are shown as their
 * numbers, in the form that JSON reads back: `\u001b`.
 *
 * `printable` is for a value within a sentence or a cell: one line of limited length. `printableLines` is for whole text; JSON
 * stays the same JSON.
 */

/** Default limit of a value: longer than any name, version or reason of anyhop. */
const CHARS_MAX = 256;

/** Control characters (C0, DEL, C1), bidirectional marks and other invisible ones, line separators, lone surrogates. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** The same without line feeds and tabs. */
const UNSEEN_IN_TEXT = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** One line of at most `charsMax` UTF-16 units before escaping; longer text ends with `...`. */
export function printable(text: string, charsMax: number = CHARS_MAX): string {
  const short = text.length > charsMax ? `${text.slice(0, charsMax - 3)}...` : text;
  return short.replace(UNSEEN, escaped);
}

export function printableLines(text: string): string {
  return text.replace(UNSEEN_IN_TEXT, escaped);
}

function escaped(char: string): string {
  const short = SHORT[char];
  if (short !== undefined) return short;
  let text = '';
  for (let i = 0; i < char.length; i++) text += `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return text;
}
