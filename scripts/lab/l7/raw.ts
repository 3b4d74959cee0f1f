/** A client that sends the bytes that it is given, valid HTTP or not, and says what comes back and how the connection ends. */
import { setTimeout as delay } from 'node:timers/promises';
import { callable } from './call.js';
import { type Endpoint, open } from './connection.js';

export interface RawPlan extends Endpoint {
  /** Bytes as latin1 text, sent one after the other, each after a pause. */
  readonly parts: readonly { readonly text: string; readonly afterMs?: number }[];
  /** Whether it says that nothing more comes (FIN) after the last part; false when not given. */
  readonly endAfter?: boolean;
  /** For how long nothing comes before it stops waiting. */
  readonly silenceMs: number;
}

export interface RawAnswer {
  /** Bytes as latin1 text. */
  readonly text: string;
  /** `silence`: the connection was still open. `reset`, `closed`: by the other side. `refused`: there was none. */
  readonly end: 'silence' | 'closed' | 'reset' | 'refused';
  /** The system's or TLS's words when it was refused or reset. */
  readonly error: string | null;
}

/** An answer of HTTP/1 in what came back. */
export interface ParsedAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export const EXCHANGE = callable(import.meta.url, 'exchange', exchange);

const CONNECT_TIMEOUT_MS = 10_000;

export async function exchange(plan: RawPlan): Promise<RawAnswer> {
  let socket: Awaited<ReturnType<typeof open>>;
  try {
    socket = await open(plan, CONNECT_TIMEOUT_MS);
  } catch (error) {
    return { text: '', end: 'refused', error: (error as Error).message };
  }
  let text = '';
  const ended = new Promise<RawAnswer>((resolve) => {
    const finish = (end: RawAnswer['end'], error: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, end, error });
    };
    const timer = setTimeout(() => finish('silence', null), plan.silenceMs);
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      timer.refresh();
    });
    socket.on('end', () => finish('closed', null));
    socket.on('error', ({ message }) => finish('reset', message));
    socket.on('drain', () => timer.refresh());
  });
  for (const [i, { text: part, afterMs = 0 }] of plan.parts.entries()) {
    if (afterMs > 0) await Promise.race([ended, delay(afterMs)]);
    if (!socket.writable) break;
    socket.write(part, 'latin1');
    if (plan.endAfter === true && i === plan.parts.length - 1) socket.end();
  }
  return ended;
}

/**
 * The answers of HTTP/1 in `text`, one after the other, as far as they are whole. All are taken to be to requests other than HEAD.
 * Interim answers (1xx) count.
 */
export function parseAnswers(text: string): ParsedAnswer[] {
  const answers: ParsedAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(rest)?.[1];
    if (end < 0 || status === undefined) return answers;
    const headers = rest.slice(0, end).split('\r\n').slice(1).map(parseHeader);
    const [body, after] = splitBody(rest.slice(end + 4), Number(status), new Map(headers));
    if (body === undefined) return answers;
    answers.push({ status: Number(status), headers, body });
    rest = after;
  }
}

function parseHeader(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

/** The body and what comes after it; undefined when it is not whole. */
function splitBody(
  text: string,
  status: number,
  headers: ReadonlyMap<string, string>,
): [string | undefined, string] {
  if (status < 200 || status === 204 || status === 304) return ['', text];
  if (headers.get('transfer-encoding') === 'chunked') return splitChunks(text);
  const length = headers.get('content-length');
  if (length === undefined) return [text, '']; // until the connection ends
  if (text.length < Number(length)) return [undefined, ''];
  return [text.slice(0, Number(length)), text.slice(Number(length))];
}

function splitChunks(text: string): [string | undefined, string] {
  let body = '';
  let rest = text;
  for (;;) {
    const [line, length] = /^([0-9a-f]+)[^\r\n]*\r\n/i.exec(rest) ?? [];
    if (line === undefined) return [undefined, ''];
    const start = line.length;
    const bytes = Number.parseInt(length!, 16);
    if (rest.length < start + bytes + 2) return [undefined, ''];
    body += rest.slice(start, start + bytes);
    rest = rest.slice(start + bytes + 2);
    if (bytes === 0) return [body, rest];
  }
}
