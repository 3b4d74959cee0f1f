/**
 * The language of capture filters, as text and as a tree:
 *
 *   vip 203.0.113.10 and (verdict drop_*,too_big_answered or client 198.51.100.0/24) and not port 22
 *
 *   expression  = sequence { "or" sequence }          "and" binds closer than "or", "not" closer than both;
 *   sequence    = part { "and" part }                 && || ! mean the same, as in tcpdump
 *   part        = "not" part | "(" expression ")" | term
 *   term        = FIELD value { "," value } | "tcp" | "udp" | "icmp"
 *
 * This file knows which fields there are, and nothing of what values mean: compile.ts does. Every error names its column.
 */
import { nearest } from '../config/nearest.js';
import { quote } from '../config/path.js';
import { AnyhopError } from '../core/errors.js';
import {
  CAPTURE_FILTER_CHARS_MAX,
  CAPTURE_FILTER_DEPTH_MAX,
  CAPTURE_FILTER_VALUES_MAX,
} from '../core/limits.js';

/** In the order of the help. */
export const FIELDS = {
  vip: 'destination address of the packet as the client sent it',
  client: 'source address, or a prefix of it: 198.51.100.0/24',
  port: 'destination port, or a range: 8000-8100',
  client_port: 'source port, or a range',
  protocol: 'tcp, udp, icmp (also of IPv6), or a number',
  service: 'name of a service of the config',
  pool: 'name of a pool',
  backend: 'name of a backend that the packet went to; POOL/NAME for one pool alone',
  verdict: 'what became of the packet; * stands for any characters: drop_*',
} as const;
export type Field = keyof typeof FIELDS;

export const PROTOCOL_WORDS = ['tcp', 'udp', 'icmp'] as const;

export interface Value {
  readonly text: string;
  /** In the text of the expression, from 1. */
  readonly column: number;
}

export interface Term {
  readonly kind: 'term';
  readonly field: Field;
  /** One of them must hold. At least one. */
  readonly values: readonly Value[];
}

export type Expression =
  | Term
  | { readonly kind: 'not'; readonly part: Expression }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Expression[] };

/** What people who know tcpdump write. */
const FOREIGN = new Map([
  ['host', 'vip ADDRESS for where it goes, client ADDRESS for where it comes from'],
  ['src', 'client ADDRESS, or client_port NUMBER'],
  ['dst', 'vip ADDRESS, or port NUMBER'],
  ['net', 'client PREFIX'],
  ['portrange', 'port FIRST-LAST'],
  ['proto', 'protocol NAME'],
  ['ip', 'vip ADDRESS'],
  ['ip6', 'vip ADDRESS'],
]);
const SAME_AS = new Map([
  ['&&', 'and'],
  ['||', 'or'],
  ['!', 'not'],
]);
const RESERVED = ['and', 'or', 'not'];

/**
 * @param text undefined for none: an empty one takes every packet
 * @throws AnyhopError ERR_USAGE
 */
export function parseExpression(text: string): Expression | undefined {
  if (text.length > CAPTURE_FILTER_CHARS_MAX)
    throw new AnyhopError('ERR_USAGE', `the filter has ${text.length} characters`, {
      hint: `It may have ${CAPTURE_FILTER_CHARS_MAX}.`,
    });
  const parser = new Parser(text);
  return parser.whole();
}

/** @param hint a sentence */
export function filterError(column: number, message: string, hint?: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', `filter, column ${column}: ${message}`, {
    ...(hint !== undefined && { hint }),
  });
}

/** `did you mean X?`, or what there is. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  if (near !== undefined) return `Did you mean ${near}?`;
  const shown = known.slice(0, 12).join(', ');
  return known.length === 0
    ? 'There is none.'
    : `There ${known.length === 1 ? 'is' : 'are'} ${shown}${known.length > 12 ? ` and ${known.length - 12} more` : ''}.`;
}

class Parser {
  readonly #tokens: readonly Value[];
  readonly #end: number;
  #at = 0;
  #values = 0;

  constructor(text: string) {
    // A "!" that stands before something is a word of its own.
    this.#tokens = [...text.matchAll(/[(),]|!|&&|\|\||[^\s(),!&|]+|[&|]/g)].map(({ 0: word, index }) => ({
      text: SAME_AS.get(word) ?? word,
      column: index + 1,
    }));
    this.#end = text.trimEnd().length + 1;
  }

  whole(): Expression | undefined {
    if (this.#tokens.length === 0) return undefined;
    const expression = this.#expression(0);
    const rest = this.#peek();
    if (rest === undefined) return expression;
    if (rest.text === ')') throw filterError(rest.column, 'a ")" without its "("');
    throw filterError(rest.column, `expected "and" or "or", found ${quote(rest.text)}`, hintFor(rest.text));
  }

  #expression(depth: number): Expression {
    return this.#chain('or', () => this.#chain('and', () => this.#part(depth)));
  }

  #chain(word: 'and' | 'or', one: () => Expression): Expression {
    const parts = [one()];
    while (this.#peek()?.text === word) {
      this.#at++;
      parts.push(one());
    }
    return parts.length === 1 ? parts[0] : { kind: word, parts };
  }

  #part(depth: number): Expression {
    const token = this.#next('a field');
    if (depth > CAPTURE_FILTER_DEPTH_MAX)
      throw filterError(
        token.column,
        'too deep',
        `Parentheses and "not" may stand ${CAPTURE_FILTER_DEPTH_MAX} deep.`,
      );
    if (token.text === 'not') return { kind: 'not', part: this.#part(depth + 1) };
    if (token.text === '(') {
      const inner = this.#expression(depth + 1);
      const end = this.#peek();
      if (end?.text === ')') this.#at++;
      else if (end === undefined) throw filterError(token.column, 'this "(" has no ")"');
      else
        throw filterError(
          end.column,
          `expected "and", "or" or ")", found ${quote(end.text)}`,
          hintFor(end.text),
        );
      return inner;
    }
    return this.#term(token);
  }

  #term(token: Value): Term {
    const { text, column } = token;
    if ((PROTOCOL_WORDS as readonly string[]).includes(text)) {
      this.#count(column);
      return { kind: 'term', field: 'protocol', values: [token] };
    }
    if (!Object.hasOwn(FIELDS, text)) {
      const foreign = FOREIGN.get(text);
      const hint = foreign === undefined ? suggestion(text, Object.keys(FIELDS)) : `Write ${foreign}.`;
      throw filterError(column, `expected a field, found ${quote(text)}`, hint);
    }
    const values = [this.#value(text)];
    while (this.#peek()?.text === ',') {
      this.#at++;
      values.push(this.#value(text));
    }
    return { kind: 'term', field: text as Field, values };
  }

  #value(field: string): Value {
    const value = this.#next(`a value of ${field}`);
    if (RESERVED.includes(value.text) || '(),'.includes(value.text))
      throw filterError(value.column, `expected a value of ${field}, found ${quote(value.text)}`);
    this.#count(value.column);
    return value;
  }

  #count(column: number): void {
    this.#values++;
    if (this.#values > CAPTURE_FILTER_VALUES_MAX)
      throw filterError(column, `more than ${CAPTURE_FILTER_VALUES_MAX} values`);
  }

  #peek(): Value | undefined {
    return this.#tokens[this.#at];
  }

  #next(what: string): Value {
    const token = this.#peek();
    if (token === undefined) throw filterError(this.#end, `expected ${what}, and the filter ends`);
    this.#at++;
    return token;
  }
}

/** Two terms side by side is what most people forget. */
function hintFor(word: string): string | undefined {
  return Object.hasOwn(FIELDS, word) ? `Write "and" before ${word}, or "or".` : undefined;
}
