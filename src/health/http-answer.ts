/**
 * Reads the answer to a check's GET as it comes, and stops as soon as it can be judged (RFC 9112). Clients forgive servers a lot,
 * and what a client forgives takes no backend down: lines that end in LF only, folded headers, headers of any kind and size that
 * do not concern the body's length, the same Content-Length twice. With contradicting ones the body ends with the connection.
 *
 * A backend may be broken or hostile. Every byte is looked at a fixed number of times; the bytes, and the reads that bring them,
 * are limited; and a body is searched once a read, in what is new.
 */
import { quote } from '../config/path.js';
import { formatStatusCodes } from '../config/status-codes.js';
import type { HttpCheck } from '../config/types.js';
import { HEALTH_ANSWER_BYTES_MAX, HEALTH_ANSWER_READS_MAX, HEALTH_HEAD_BYTES_MAX } from '../core/limits.js';
import { HttpBody, type HttpFraming } from './http-body.js';

const LF = 0x0a;
const CR = 0x0d;
const STATUS_LINE = /^[\r\n]*HTTP\/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)/;
/** Statuses whose answers have no body (RFC 9110 sections 15.3.5, 15.4.5). */
const WITHOUT_BODY: readonly number[] = [204, 304];

/** What is known of a check. Undefined: nothing yet. The failure is for a log line; there is none when the check is good. */
export type Verdict = { readonly failure: string | undefined } | undefined;

export class HttpAnswer {
  readonly #status: HttpCheck['status'];
  readonly #expected: string | undefined;
  #bytes = 0;
  #reads = 0;
  #head: Buffer[] = [];
  #headBytes = 0;
  /** Lines that have ended, and bytes of the one that has not, without CR. */
  #lines = 0;
  #lineBytes = 0;
  #isHttp = false;
  #body: HttpBody | undefined;

  constructor({ status, body }: Pick<HttpCheck, 'status' | 'body'>) {
    this.#status = status;
    this.#expected = body;
  }

  /** Whether the body has begun, which is only read where something is expected in it. */
  get hasHead(): boolean {
    return this.#body !== undefined;
  }

  /** Takes what one read brought. */
  add(data: Buffer): Verdict {
    this.#bytes += data.length;
    this.#reads++;
    let rest = data;
    while (this.#body === undefined) {
      const end = this.#findEndOfHead(rest);
      const head = end < 0 ? rest : rest.subarray(0, end);
      this.#head.push(head);
      this.#headBytes += head.length;
      const verdict = end < 0 ? this.#judgeHalfHead() : this.#judgeHead();
      if (verdict !== undefined || end < 0) return verdict ?? this.#judgeSize();
      rest = rest.subarray(end);
    }
    const isFound = this.#body.add(rest);
    return isFound === undefined ? this.#judgeSize() : this.#judgeBody(isFound);
  }

  /** The connection has ended, and not by an error. */
  end(): Verdict {
    if (this.#body !== undefined) return this.#judgeBody(this.#body.end());
    if (this.#bytes === 0) return bad('the connection ended without an answer');
    return this.#requireHttp() ?? bad('the connection ended within the headers');
  }

  /** @returns the offset behind the empty line that ends the head, or -1 */
  #findEndOfHead(data: Buffer): number {
    for (let at = 0; at < data.length; at++) {
      const byte = data[at];
      if (byte === LF) {
        // Empty lines before the status line are none that end a head (RFC 9112 section 2.2).
        if (this.#lineBytes > 0) this.#lines++;
        else if (this.#lines > 0) return at + 1;
        this.#lineBytes = 0;
      } else if (byte !== CR) this.#lineBytes++;
    }
    return -1;
  }

  /** What is no HTTP is known by the first line. Headers without end are no reason to fail where the status is all that counts. */
  #judgeHalfHead(): Verdict {
    const isTooLong = this.#headBytes > HEALTH_HEAD_BYTES_MAX;
    if (!this.#isHttp && (this.#lines > 0 || isTooLong)) {
      const verdict = this.#requireHttp();
      if (verdict !== undefined) return verdict;
    }
    if (!isTooLong) return undefined;
    const verdict = this.#judgeHead();
    return verdict ?? bad(`the headers are longer than ${HEALTH_HEAD_BYTES_MAX / 1024} KiB`);
  }

  #requireHttp(): Verdict {
    const text = this.#headText();
    this.#isHttp = STATUS_LINE.test(text);
    return this.#isHttp ? undefined : bad(`the answer is not HTTP: ${quote(text.trim())}`);
  }

  /** By the status. Undefined when there is more to come: the body, or the answer that follows an interim one (1xx). */
  #judgeHead(): Verdict {
    const head = this.#headText();
    const status = Number(STATUS_LINE.exec(head)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) return this.#requireHttp();
    const isInterim = status >= 100 && status < 200 && status !== 101;
    this.#head = [];
    this.#headBytes = 0;
    this.#lines = 0;
    this.#isHttp = false;
    if (isInterim) return undefined;
    if (status < this.#status.first || status > this.#status.last)
      return bad(`HTTP status ${status}; expected ${formatStatusCodes(this.#status)}`);
    if (this.#expected === undefined) return { failure: undefined };
    const framing = WITHOUT_BODY.includes(status) ? ({ kind: 'length', bytes: 0 } as const) : framingOf(head);
    this.#body = new HttpBody(framing, Buffer.from(this.#expected));
    return undefined;
  }

  #headText(): string {
    if (this.#head.length > 1) this.#head = [Buffer.concat(this.#head)];
    return this.#head[0].toString('latin1');
  }

  #judgeBody(found: boolean | string): Verdict {
    if (typeof found === 'string') return bad(found);
    return { failure: found ? undefined : `the body does not hold ${quote(this.#expected!)}` };
  }

  #judgeSize(): Verdict {
    if (this.#bytes > HEALTH_ANSWER_BYTES_MAX)
      return bad(`no end of the answer within ${HEALTH_ANSWER_BYTES_MAX / 1024} KiB`);
    if (this.#reads >= HEALTH_ANSWER_READS_MAX)
      return bad(`no end of the answer within ${HEALTH_ANSWER_READS_MAX} reads`);
    return undefined;
  }
}

function bad(failure: string): Verdict {
  return { failure };
}

/** Where the body ends, by its head (RFC 9112 section 6.3). */
function framingOf(head: string): HttpFraming {
  const lengths = new Set<string>();
  let coding = '';
  for (const line of head.replace(/\r?\n[ \t]+/g, ' ').split('\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'transfer-encoding') coding = value.toLowerCase();
    if (name === 'content-length') for (const each of value.split(',')) lengths.add(each.trim());
  }
  if (/(?:^|[\s,])chunked$/.test(coding)) return { kind: 'chunked' };
  const [length = ''] = lengths;
  return coding === '' && lengths.size === 1 && /^\d{1,15}$/.test(length)
    ? { kind: 'length', bytes: Number(length) }
    : { kind: 'until_close' };
}
