/**
 * List files: a prefix or an address a line, IPv4 and IPv6 as they come, and comments behind `#` (or `;`, as some publishers write
 * them). A million lines take some 0.1 s, so nothing here makes text of a line that is right: `quick*` read what is usually there from the
 * bytes, and everything that they do not know goes to `parsePrefix`, which also knows what is wrong.
 */
import { LIST_PROBLEMS_MAX, LIST_PROBLEMS_SHOWN, LISTS_PREFIXES_MAX } from '../core/limits.js';
import { printable } from '../core/printable.js';
import { parseAddress, parsePrefix, prefixAround } from '../packet/address.js';
import { PrefixColumns, type Prefixes } from './columns.js';

export interface ListProblem {
  /** From 1. */
  readonly line: number;
  /** What is wrong and what was expected. */
  readonly text: string;
}

export interface ParsedList {
  readonly prefixes: Prefixes;
  /** The first of them; none when all lines are good. */
  readonly problems: readonly ListProblem[];
  /** LIST_PROBLEMS_MAX: so many at least. */
  readonly problemCount: number;
}

const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
const TAB = 9;
const HASH = 35;
const SEMICOLON = 59;
const DOT = 46;
const SLASH = 47;
const COLON = 58;
const ZERO = 48;
const BOM = [0xef, 0xbb, 0xbf];
const SHOWN_CHARS_MAX = 60;
const EXPECTED = 'a prefix or an address: 192.0.2.0/24, 2001:db8::/32, 192.0.2.7';

/** @param most prefixes that may be there */
export function parseList(bytes: Uint8Array, most = LISTS_PREFIXES_MAX): ParsedList {
  return new ListParser(bytes, most).parse();
}

class ListParser {
  readonly #bytes: Uint8Array;
  readonly #most: number;
  readonly #columns = new PrefixColumns();
  readonly #problems: ListProblem[] = [];
  #problemCount = 0;
  #line = 0;
  readonly #groups = new Uint16Array(8);

  constructor(bytes: Uint8Array, most: number) {
    this.#bytes = bytes;
    this.#most = most;
  }

  parse(): ParsedList {
    const bytes = this.#bytes;
    let at = BOM.every((byte, i) => bytes[i] === byte) ? BOM.length : 0;
    while (at < bytes.length) {
      this.#line++;
      let end = bytes.indexOf(NEWLINE, at);
      if (end < 0) end = bytes.length;
      this.#readLine(at, end);
      at = end + 1;
      if (this.#problemCount === LIST_PROBLEMS_MAX) break;
      if (this.#columns.count > this.#most) {
        this.#complain(`found more than ${this.#most} prefixes; expected ${this.#most} at most`);
        break;
      }
    }
    return {
      prefixes: this.#columns.filled(),
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  #readLine(start: number, end: number): void {
    const bytes = this.#bytes;
    let from = start;
    while (from < end && isSpace(bytes[from])) from++;
    let to = from;
    while (to < end && !isSpace(bytes[to]) && !isComment(bytes[to])) to++;
    let next = to;
    while (next < end && isSpace(bytes[next])) next++;
    if (next < end && !isComment(bytes[next])) {
      this.#complain(
        `found ${this.#shown(next, end)} behind ${this.#shown(from, to)}; expected one prefix a line, and comments behind #`,
      );
    } else if (to > from && !this.#quick4(from, to) && !this.#quick6(from, to)) {
      this.#readAny(from, to);
    }
  }

  /** `192.0.2.0/24` or `192.0.2.7`. @returns false for all else */
  #quick4(from: number, to: number): boolean {
    const bytes = this.#bytes;
    let address = 0;
    let octet = -1;
    let dots = 0;
    let at = from;
    for (; at < to; at++) {
      const byte = bytes[at];
      if (byte >= ZERO && byte <= ZERO + 9) {
        if (octet === 0) return false;
        octet = (octet < 0 ? 0 : octet * 10) + byte - ZERO;
        if (octet > 255) return false;
      } else if (byte === DOT && octet >= 0 && dots < 3) {
        address = address * 256 + octet;
        octet = -1;
        dots++;
      } else break;
    }
    if (dots !== 3 || octet < 0) return false;
    address = address * 256 + octet;
    const length = at === to ? 32 : this.#quickLength(at, to, 32);
    if (length < 0 || (length < 32 && (address & (0xffffffff >>> length)) !== 0)) return false;
    this.#columns.add4(address, length);
    return true;
  }

  /** `2001:db8::/32` and its like, without a dotted end. @returns false for all else */
  #quick6(from: number, to: number): boolean {
    const bytes = this.#bytes;
    const groups = this.#groups.fill(0);
    let count = 0;
    /** Groups before `::`; -1 before there is one. */
    let gap = -1;
    let digits = 0;
    let value = 0;
    let at = from;
    for (; at < to; at++) {
      const byte = bytes[at];
      const digit = hexDigit(byte);
      if (digit >= 0) {
        if (++digits > 4) return false;
        value = value * 16 + digit;
        continue;
      }
      if (byte !== COLON) break;
      if (digits > 0) {
        if (count === 7) return false;
        groups[count++] = value;
        digits = 0;
        value = 0;
        if (bytes[at + 1] !== COLON) {
          if (hexDigit(bytes[at + 1]) < 0) return false;
          continue;
        }
        at++;
      } else if (at !== from || bytes[++at] !== COLON) return false;
      if (gap >= 0) return false;
      gap = count;
    }
    if (digits > 0) {
      if (count === 8) return false;
      groups[count++] = value;
    }
    if (gap < 0 ? count !== 8 : count > 7) return false;
    const length = at === to ? 128 : this.#quickLength(at, to, 128);
    if (length < 0) return false;
    if (gap >= 0) {
      groups.copyWithin(8 - (count - gap), gap, count);
      groups.fill(0, gap, 8 - (count - gap));
    }
    if (!isFirst(groups, length)) return false;
    const word = (i: number): number => groups[i] * 65536 + groups[i + 1];
    this.#columns.add6(word(0), word(2), word(4), word(6), length);
    return true;
  }

  /** Of `/24` at the end of a word; -1 for anything else. */
  #quickLength(slash: number, to: number, most: number): number {
    const bytes = this.#bytes;
    if (bytes[slash] !== SLASH || slash + 1 === to || to - slash > 4) return -1;
    let length = 0;
    for (let at = slash + 1; at < to; at++) {
      const digit = bytes[at] - ZERO;
      if (digit < 0 || digit > 9) return -1;
      length = length * 10 + digit;
    }
    return length <= most ? length : -1;
  }

  #readAny(from: number, to: number): void {
    const text = Buffer.from(
      this.#bytes.buffer,
      this.#bytes.byteOffset + from,
      Math.min(to - from, 256),
    ).toString('latin1');
    const prefix = parsePrefix(text);
    if (prefix !== undefined) this.#columns.add(prefix);
    else this.#complain(`found ${this.#shown(from, to)}; expected ${expectedInstead(text)}`);
  }

  #shown(from: number, to: number): string {
    const most = Math.min(to - from, SHOWN_CHARS_MAX + 1) * 4;
    const text = Buffer.from(
      this.#bytes.buffer,
      this.#bytes.byteOffset + from,
      Math.min(to - from, most),
    ).toString('utf8');
    return `"${printable(text.trimEnd(), SHOWN_CHARS_MAX)}"`;
  }

  #complain(text: string): void {
    this.#problemCount++;
    if (this.#problems.length < LIST_PROBLEMS_SHOWN) this.#problems.push({ line: this.#line, text });
  }
}

/** Of a prefix with host bits, the one that was meant. */
function expectedInstead(text: string): string {
  const [head, tail = ''] = text.split('/', 2);
  const address = parseAddress(head);
  if (address === undefined || !/^\d{1,3}$/.test(tail)) return EXPECTED;
  const [length, bits] = [Number(tail), address.bytes.length * 8];
  if (length > bits) return `a length of ${bits} at most`;
  return `the first address of the prefix: ${prefixAround(address, length).text}`;
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === RETURN;
}

function isComment(byte: number): boolean {
  return byte === HASH || byte === SEMICOLON;
}

function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= ZERO + 9) return byte - ZERO;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Whether no bit behind `length` is set. */
function isFirst(groups: Uint16Array, length: number): boolean {
  for (let i = length >> 4; i < 8; i++) {
    const hosts = i === length >> 4 ? 0xffff >>> (length & 15) : 0xffff;
    if ((groups[i] & hosts) !== 0) return false;
  }
  return true;
}
