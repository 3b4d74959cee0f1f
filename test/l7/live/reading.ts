/**
 * How RFC 9112 reads a client's bytes: one request after the other, up to the first that a server has to refuse. Where it lets a server
 * forgive (a bare LF, a folded line, a length that is repeated), this reading does, since the outcome is one and the same request.
 * Written from the RFC, and apart from everything that it judges.
 */

export interface ReadRequest {
  readonly method: string;
  readonly target: string;
  readonly body: string;
}

export interface Reading {
  /** Whole requests. */
  readonly requests: readonly ReadRequest[];
  /** Why nothing more is read. */
  readonly end: 'end of input' | 'cut off' | 'refused' | 'close';
}

class Refused extends Error {}
class CutOff extends Error {}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP\/1\.([01])$/;
const LENGTH = /^[0-9]{1,15}$/;
/** Size and extensions (section 7.1.1); extensions are text without control characters here. Spaces after the size do no harm. */
const CHUNK = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t -~\x80-\xff]*)?$/;

/** @param text latin1 */
export function readAsRfc(text: string): Reading {
  const input = new Input(text);
  const requests: ReadRequest[] = [];
  try {
    for (;;) {
      input.skipEmptyLines();
      if (input.isAtEnd) return { requests, end: 'end of input' };
      const { request, closes } = readRequest(input);
      requests.push(request);
      if (closes) return { requests, end: 'close' };
    }
  } catch (error) {
    if (error instanceof Refused) return { requests, end: 'refused' };
    if (error instanceof CutOff) return { requests, end: 'cut off' };
    throw error;
  }
}

function readRequest(input: Input): { request: ReadRequest; closes: boolean } {
  const [, method, target, minor] = REQUEST_LINE.exec(input.line()) ?? refuse();
  const fields = readFields(input);
  const values = (name: string): string[] =>
    fields.filter(([each]) => each === name).map(([, value]) => value);
  const codings = values('transfer-encoding');
  const lengths = new Set(values('content-length').flatMap((value) => value.split(',').map(trimmed)));
  // Section 3.2 refuses the same host twice too; it has one meaning.
  if (new Set(values('host')).size > 1) refuse();
  for (const length of lengths) if (!LENGTH.test(length)) refuse();
  if (new Set([...lengths].map(Number)).size > 1) refuse();
  const connection = values('connection').flatMap((value) => value.toLowerCase().split(',').map(trimmed));
  const closes = connection.includes('close') || (minor === '0' && !connection.includes('keep-alive'));
  if (codings.length === 0) {
    const body = input.take(Number([...lengths][0] ?? 0));
    return { request: { method: method!, target: target!, body }, closes };
  }
  if (minor === '0' || codings.length > 1 || codings[0]!.toLowerCase() !== 'chunked') refuse();
  // A length beside it is an attack or an error; the connection is of no use after that (section 6.1).
  return {
    request: { method: method!, target: target!, body: readChunks(input) },
    closes: closes || lengths.size > 0,
  };
}

function readFields(input: Input): [string, string][] {
  const fields: [string, string][] = [];
  for (let line = input.line(); line !== ''; line = input.line()) {
    if (/^[ \t]/.test(line)) {
      const last = fields.at(-1) ?? refuse();
      last[1] = trimmed(`${last[1]} ${trimmed(line)}`);
      continue;
    }
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    if (!TOKEN.test(name)) refuse();
    fields.push([name.toLowerCase(), trimmed(line.slice(colon + 1))]);
  }
  return fields;
}

function readChunks(input: Input): string {
  let body = '';
  for (;;) {
    const [, size] = CHUNK.exec(input.line()) ?? refuse();
    const bytes = Number.parseInt(size!, 16);
    if (bytes === 0) break;
    body += input.take(bytes);
    if (input.line() !== '') refuse();
  }
  readFields(input); // trailers, which are no part of the request here
  return body;
}

function trimmed(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

function refuse(): never {
  throw new Refused();
}

class Input {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** Before a request (section 2.2). */
  skipEmptyLines(): void {
    while (/^\r?\n/.test(this.#text.slice(this.#at, this.#at + 2)))
      this.#at += this.#text[this.#at] === '\r' ? 2 : 1;
  }

  /** Without its end, which is CRLF or LF. A CR or NUL within it is refused. */
  line(): string {
    const end = this.#text.indexOf('\n', this.#at);
    if (end < 0) throw new CutOff();
    const line = this.#text.slice(this.#at, end).replace(/\r$/, '');
    this.#at = end + 1;
    if (/[\r\0]/.test(line)) refuse();
    return line;
  }

  take(bytes: number): string {
    if (this.#text.length - this.#at < bytes) throw new CutOff();
    this.#at += bytes;
    return this.#text.slice(this.#at - bytes, this.#at);
  }
}
