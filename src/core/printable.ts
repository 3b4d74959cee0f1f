/**
 * Text from elsewhere, made safe to show. A terminal obeys escape sequences of any origin: a health answer, an agent's report
 * or a name in a file could clear the screen, change the window's title, or show another line than the one that is there. So
 * everything that is not seen is shown as its number, in the form that JSON reads back: `\u001b`.
 *
 * `printable` is for a value from elsewhere inside a sentence or a cell: one line, and no longer than a reader needs.
 * `printableLines` is for whole text on its way out: JSON stays the same JSON.
 */

/** Of a value from elsewhere, unless said otherwise: longer than any name, version or reason of ours. */
const CHARS_MAX = 256;

/** Control characters (C0, DEL, C1), marks of direction and other invisible ones, line separators, lone surrogates. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** The same without what makes text of several lines, and columns in them. */
const UNSEEN_IN_TEXT = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** One line of `charsMax` UTF-16 units at most, before escaping; what is cut ends with `...`. */
export function printable(text: string, charsMax: number = CHARS_MAX): string {
  const short = text.length > charsMax ? `${text.slice(0, charsMax - 3)}...` : text;
  return short.replace(UNSEEN, escaped);
}

/** Any text, with its line feeds and tabs. */
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
