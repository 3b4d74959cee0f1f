/**
 * Texts of the section `l7`. The patterns are allow-lists: what they accept can stand in HAProxy's configuration and map files
 * (src/l7/render), whatever HAProxy reads into it.
 */
import * as z from 'zod';
import {
  L7_COOKIE_VALUE_CHARS_MAX,
  L7_HEADER_BYTES_MAX,
  L7_HOST_CHARS_MAX,
  L7_KEY_HEX_DIGITS,
  L7_PATH_CHARS_MAX,
  L7_TOKEN_CHARS_MAX,
} from '../../core/limits.js';
import { integer, parsed, text } from '../fields.js';

const FILE_EXPECTED = 'the path of a file';
const DIRECTORY_EXPECTED = 'the path of a directory';
export const TOKEN_EXPECTED = `letters, digits, "-" and "_", ${L7_TOKEN_CHARS_MAX} characters at most`;
const VALUE_EXPECTED = `printable ASCII text, 1 to ${L7_HEADER_BYTES_MAX} characters, no space at either end`;
const COOKIE_VALUE_EXPECTED =
  `printable ASCII text without space, comma, semicolon, quote and backslash, 1 to ` +
  `${L7_COOKIE_VALUE_CHARS_MAX} characters`;
const HOST_EXPECTED =
  'a host name without port, "shop.example.com", or "*.example.com" for every name below example.com (nothing: any host); other ' +
  'letters than ASCII in their "xn--" form';
const PATH_EXPECTED =
  `a path that starts with "/": letters, digits, "%" with two hexadecimal digits, and any of ._~!$&*+,;=:@-, ` +
  `${L7_PATH_CHARS_MAX} characters at most`;
const URL_EXPECTED =
  'a URL without query: "https://shop.example.com" (path and query of the request are added), or with a path, ' +
  `"https://shop.example.com/new" (exactly this); ${L7_PATH_CHARS_MAX} characters at most`;
const HOST_NAME_EXPECTED = 'a host name';
const HOST_HEADER_EXPECTED = 'a host name or an IPv4 address, with or without a port';
export const L7_KEY_EXPECTED = `the subkey of the tier, ${L7_KEY_HEX_DIGITS} hexadecimal digits: "anyhop l7 key" prints it`;

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
const HOST_NAME = `${LABEL}(?:\\.${LABEL})*`;
/** What may stand in a path (RFC 3986, section 3.3), without quotes and parentheses. */
const PATH_CHARS = '(?:[A-Za-z0-9/._~!$&*+,;=:@-]|%[0-9A-Fa-f]{2})*';

export const L7_KEY_PATTERN = new RegExp(`^[0-9A-Fa-f]{${L7_KEY_HEX_DIGITS}}$`);
/** Header and cookie names. Narrower than a token of RFC 9110: what else that allows is used for attacks only. */
export const TOKEN_PATTERN = new RegExp(`^[A-Za-z0-9_-]{1,${L7_TOKEN_CHARS_MAX}}$`);

/** A file is read by the process that needs it, relative to the config file. */
export const file = z.string({ error: FILE_EXPECTED }).min(1, { error: FILE_EXPECTED });
export const directory = z.string({ error: DIRECTORY_EXPECTED }).min(1, { error: DIRECTORY_EXPECTED });
export const port = integer('a port, 1 to 65535', 1, 65535);
export const token = text(`a name: ${TOKEN_EXPECTED}`, TOKEN_PATTERN);
/** The key is the name; in the program each entry is `{name, value}`. */
export const headers = pairs(
  text(VALUE_EXPECTED, new RegExp(`^[!-~](?:[ -~]{0,${L7_HEADER_BYTES_MAX - 2}}[!-~])?$`)),
);
/** Printable ASCII but for `"`, `,`, `;` and `\` (RFC 6265, section 4.1.1). */
export const cookies = pairs(
  text(COOKIE_VALUE_EXPECTED, new RegExp(`^[!#-+\\--:<-\\[\\]-~]{1,${L7_COOKIE_VALUE_CHARS_MAX}}$`)),
);
export const path = limited(PATH_EXPECTED, new RegExp(`^/${PATH_CHARS}$`), L7_PATH_CHARS_MAX);
/** Of a request of a health check, which may have a query. */
export const checkPath = limited(
  `${PATH_EXPECTED}, with or without a query after "?"`,
  new RegExp(`^/${PATH_CHARS}(?:[?]${PATH_CHARS})?$`),
  L7_PATH_CHARS_MAX,
);
/** A name that a certificate can have. */
export const certificateName = limited(
  HOST_NAME_EXPECTED,
  new RegExp(`^(?![0-9.]+$)${HOST_NAME}$`),
  L7_HOST_CHARS_MAX,
);
export const hostHeader = parsed(
  HOST_HEADER_EXPECTED,
  (value) => (value.length <= L7_HOST_CHARS_MAX && isPort(value) ? value : undefined),
  new RegExp(`^${HOST_NAME}(?::[0-9]{1,5})?$`),
);
/** In lower case. */
export const hostPattern = parsed(
  HOST_EXPECTED,
  (value) => (value.length <= L7_HOST_CHARS_MAX ? value.toLowerCase() : undefined),
  new RegExp(`^(?:\\*\\.)?${HOST_NAME}$`),
);
export const redirectUrl = parsed(
  URL_EXPECTED,
  readRedirect,
  new RegExp(`^[Hh][Tt][Tt][Pp][Ss]?://${HOST_NAME}(?::[0-9]{1,5})?(?:/${PATH_CHARS})?$`),
);

export interface RedirectTarget {
  readonly url: string;
  /** Path and query of the request are appended. */
  readonly isPrefix: boolean;
}

function readRedirect(url: string): RedirectTarget | undefined {
  const [, authority, rest] = /^[a-z]+:\/\/([^/]*)(.*)$/i.exec(url)!;
  return url.length <= L7_PATH_CHARS_MAX && isPort(authority!) ? { url, isPrefix: rest === '' } : undefined;
}

/** Of `host:port`; true without one. */
function isPort(authority: string): boolean {
  const digits = /:([0-9]+)$/.exec(authority)?.[1];
  return digits === undefined || (Number(digits) >= 1 && Number(digits) <= 65535);
}

function limited(expected: string, pattern: RegExp, charsMax: number) {
  return text(expected, pattern).max(charsMax, { error: expected });
}

function pairs(value: z.ZodType<string, string>) {
  return z.record(z.string(), value, { error: 'a mapping {name: value}' }).meta({
    propertyNames: { pattern: TOKEN_PATTERN.source },
  });
}
