/**
 * One line of HAProxy's configuration: words that stand in this program's source, and between them tokens. A token is made here
 * only, from one kind of value, and holds nothing but what the allow-list of its kind names. So a value can end no word, no line
 * and no expression, whatever the config's own patterns let through: they are the first line of defence, this is the second.
 *
 *     line(at)`  http-request set-header ${headerName(name)} ${format(value)}`
 *
 * Quoting is that of HAProxy's manual, section 2.2. Inside double quotes `\`, `"` and `$` are escaped. A log format, which
 * HAProxy reads once more, has `%` doubled.
 */
import type { FieldPath } from '../../config/path.js';
import { L7_HEADER_BYTES_MAX, L7_HOST_CHARS_MAX, L7_PATH_CHARS_MAX } from '../../core/limits.js';
import { addressFromBytes, type IpAddress } from '../../packet/address.js';
import type { RenderedLine } from './rendering.js';

/** A word of a line, or a part of one, as it stands in the file. */
class Token {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }
}

export type { Token };

/** Words of the source with tokens between them. */
type Template<T> = (words: TemplateStringsArray, ...tokens: readonly Token[]) => T;

/** @param at the field that causes the line */
export function line(at: FieldPath): Template<RenderedLine> {
  return (words, ...tokens) => ({ text: join(words, tokens), at });
}

/** Part of a line, for conditions and options that only some lines have. */
export function words(literals: TemplateStringsArray, ...tokens: readonly Token[]): Token {
  return new Token(join(literals, tokens));
}

export function list(tokens: readonly Token[], separator: ' ' | ',' | ':' = ' '): Token {
  return new Token(tokens.map((token) => textOf(token)).join(separator));
}

export const NOTHING: Token = new Token('');

function join(literals: TemplateStringsArray, tokens: readonly Token[]): string {
  // `raw`, so that a backslash in the source is one in the file.
  return literals.raw.reduce((text, literal, i) => text + textOf(tokens[i - 1]!) + literal);
}

function textOf(token: Token): string {
  if (!(token instanceof Token)) throw new RangeError('a line of HAProxy is made of tokens only');
  return token.text;
}

/** A value that a kind of token does not allow: a fault of this program, since the config refuses it before. */
function refuse(kind: string, value: unknown): never {
  throw new RangeError(`not fit for HAProxy's configuration as ${kind}: ${JSON.stringify(value)}`);
}

function matching(kind: string, pattern: RegExp, charsMax: number): (value: string) => Token {
  return (value) =>
    typeof value === 'string' && value.length <= charsMax && pattern.test(value)
      ? new Token(value)
      : refuse(kind, value);
}

export const identifier = matching('a name', /^[A-Za-z0-9][A-Za-z0-9._-]*$/, 128);
export const headerName = matching('the name of a header', /^[A-Za-z0-9_-]+$/, 64);
export const cookieName = matching('the name of a cookie', /^[A-Za-z0-9_-]+$/, 64);
export const hostName = matching(
  'a host',
  /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?$/,
  L7_HOST_CHARS_MAX,
);
export const hostAndPort = matching(
  'a host with a port',
  /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?(?::[0-9]{1,5})?$/,
  L7_HOST_CHARS_MAX + 6,
);
/** Absolute. */
export const filePath = matching('a path', /^(?:\/[A-Za-z0-9._-]+)+$/, 4096);
/** A secret: an error does not show it. */
export function hexKey(value: string): Token {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
    ? new Token(value)
    : refuse('a key', typeof value);
}

/** Of an ACME account key (RFC 8555, section 8.1). */
export const thumbprint = matching('a thumbprint', /^[A-Za-z0-9_-]{43}$/, 43);
/** A regular expression of this program, in single quotes: nothing in it is the config's. */
export function pattern({ source }: RegExp): Token {
  const text = source.replaceAll('\\/', '/');
  return /^[^'\s]+$/.test(text) ? new Token(`'${text}'`) : refuse('a pattern', source);
}
/** A word that another folder of this program composed (src/l7/routes): what it holds needs no quotes. */
export const ruleWord = matching('a word of a rule', /^[A-Za-z0-9_.,:()%[\]{}!*/+<>=-]+$/, 16_384);

export function integer(value: number, min = 0, max = Number.MAX_SAFE_INTEGER): Token {
  return Number.isSafeInteger(value) && value >= min && value <= max
    ? new Token(String(value))
    : refuse(`a whole number, ${min} to ${max}`, value);
}

/** HAProxy keeps times as 32-bit milliseconds. */
const TIME_MS_MAX = 2 ** 31 - 1;

export function milliseconds(value: number): Token {
  return words`${integer(value, 0, TIME_MS_MAX)}ms`;
}

/** From its bytes: its text may be anything. */
function canonical({ bytes }: IpAddress): IpAddress {
  return bytes instanceof Uint8Array ? addressFromBytes(bytes) : refuse('an address', bytes);
}

export function ipAddress(ip: IpAddress): Token {
  return new Token(canonical(ip).text);
}

/** Address and port, or ports: `192.0.2.1:443`, `[2001:db8::1]:8000-8010`. */
export function endpoint(ip: IpAddress, portFirst: number, portLast = portFirst): Token {
  const first = integer(portFirst, 1, 65_535);
  const ports = portLast === portFirst ? first : words`${first}-${integer(portLast, portFirst, 65_535)}`;
  return canonical(ip).family === 6 ? words`[${ipAddress(ip)}]:${ports}` : words`${ipAddress(ip)}:${ports}`;
}

/** The text of a header: a log format. */
export function format(value: string): Token {
  if (typeof value !== 'string' || value.length > L7_HEADER_BYTES_MAX || !/^[ -~]+$/.test(value))
    return refuse('a value of a header', value);
  return quoted(value.replaceAll('%', '%%'));
}

/** The path of a request, with or without a query. */
export function requestTarget(value: string): Token {
  if (
    typeof value !== 'string' ||
    value.length > L7_PATH_CHARS_MAX ||
    !/^\/[A-Za-z0-9/._~!$&*+,;=:@%-]*(?:\?[A-Za-z0-9/._~!$&*+,;=:@%-]*)?$/.test(value)
  )
    return refuse('a path of a request', value);
  return quoted(value);
}

function quoted(text: string): Token {
  return new Token(`"${text.replace(/[\\"$]/g, '\\$&')}"`);
}
