/** Decodes UTF-8, with or without byte order mark and without control characters, or finds the first mistake. */
import { isUtf8 } from 'node:buffer';

const LINE_FEED = 10;

export interface BadText {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export function decodeText(bytes: Uint8Array): string | BadText {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return {
      line: 1,
      column: 1,
      message: 'found UTF-16 text; expected UTF-8: save the file in that encoding',
    };
  }
  return isUtf8(bytes) ? checkText(new TextDecoder().decode(bytes)) : findBadBytes(bytes);
}

export function checkText(text: string): string | BadText {
  const clean = text.startsWith('\ufeff') ? text.slice(1) : text;
  const at = clean.search(CONTROL);
  if (at < 0) return clean;
  const before = clean.slice(0, at);
  const code = clean.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0');
  return {
    line: before.split('\n').length,
    column: at - before.lastIndexOf('\n'),
    message: `found the control character U+${code}; expected UTF-8 text`,
  };
}

/** What YAML 1.2 (section 5.1, c-printable) does not allow, except lone surrogates. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it searches for them
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]/;

/** No UTF-8 sequence contains a line feed, so each line is checked by itself. */
function findBadBytes(bytes: Uint8Array): BadText {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const feed = bytes.indexOf(LINE_FEED, start);
    const end = feed < 0 ? bytes.length : feed;
    const part = bytes.subarray(start, end);
    if (!isUtf8(part)) {
      const column = new TextDecoder().decode(part).indexOf('\ufffd') + 1;
      return { line, column, message: 'found bytes that are not UTF-8; expected UTF-8 text' };
    }
    start = end + 1;
  }
  return { line: 1, column: 1, message: 'found bytes that are not UTF-8; expected UTF-8 text' };
}
