/** Paths of fields in the config, and their form in messages. */

/** Keys and list indexes from the top: `['pools', 'web', 'backends', 2, 'address']`. */
export type FieldPath = readonly (string | number)[];

/** `pools.web.backends[2].address`; an ambiguous key is quoted: `pools["a.b"].backends`. */
export function formatPath(path: FieldPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!isPlain(step)) text += `[${quote(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

function isPlain(key: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(key) && quote(key) === `"${key}"`;
}

/** Characters of a value that a message shows. */
const QUOTE_CHARS_MAX = 60;

/**
 * Makes a value safe to print: in double quotes, shortened, with everything but printable ASCII escaped, which also reveals
 * look-alikes. Long runs of hexadecimal digits are hidden, because they may be the fleet's secret in the wrong place.
 */
export function quote(text: string): string {
  const safe = text.slice(0, 4096).replace(/(?:[0-9A-Fa-f]\s*){24,}/g, '[hex digits]');
  const short = safe.length > QUOTE_CHARS_MAX ? `${safe.slice(0, QUOTE_CHARS_MAX - 3)}...` : safe;
  return JSON.stringify(short).replace(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
