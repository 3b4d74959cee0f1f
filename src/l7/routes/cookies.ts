/**
 * A cookie of a request, as HAProxy's `req.cook` reads it: the last of its name. Commas end a cookie as semicolons do, and quotes
 * in a value protect both. An empty value at the end of a line is not seen. (HAProxy 2.6: smp_fetch_cookie, http_find_header, http_extract_cookie_value.)
 */
import { trimmed } from './matching.js';

/** @param lines values of the `Cookie` headers, in their order; undefined when no cookie has this name */
export function lastCookie(lines: readonly string[], name: string): string | undefined {
  let last: string | undefined;
  for (const line of lines)
    for (let at = 0; at < line.length; ) {
      const end = unquotedEnd(line, at, ',');
      last = lastIn(trimmed(line.slice(at, end)), name) ?? last;
      at = end + 1;
    }
  return last;
}

function lastIn(part: string, name: string): string | undefined {
  let last: string | undefined;
  for (let at = 0; at + name.length + 1 < part.length; ) {
    const equal = /[=;,]/g;
    equal.lastIndex = at;
    const end = equal.exec(part)?.index ?? part.length;
    const found = trimmed(part.slice(at, end));
    if (part[end] !== '=') at = end + 1;
    else {
      const valueEnd = unquotedEnd(part, end + 1, ',;');
      if (found === name) last = trimmed(part.slice(end + 1, valueEnd));
      at = valueEnd + 1;
    }
  }
  return last;
}

/** Where one of the separators stands outside quotes, or the text ends. A backslash within quotes protects the next character. */
function unquotedEnd(text: string, start: number, separators: string): number {
  let isQuoted = false;
  for (let i = start; i < text.length; i++) {
    if (isQuoted && text[i] === '\\') i++;
    else if (text[i] === '"') isQuoted = !isQuoted;
    else if (!isQuoted && separators.includes(text[i])) return i;
  }
  return text.length;
}
