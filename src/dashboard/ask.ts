/**
 * One question over HTTP, to the node's own control socket or to the dashboard of a sibling, and the text of its answer: whole, bounded and in
 * time, or an error. A sibling may be broken or in foreign hands, so no answer is followed elsewhere.
 */
import { type IncomingMessage, request as overHttp, type RequestOptions } from 'node:http';
import { request as overTls, type RequestOptions as TlsOptions } from 'node:https';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { formatDuration } from '../core/time.js';

export interface Bounds {
  /** For the whole answer. */
  readonly timeoutMs: number;
  /** Unzipped. */
  readonly bytesMax: number;
}

const unzip = promisify(gunzip);

/** @throws Error of the system, or with a reason in words */
export function askSocket(socketPath: string, path: string, bounds: Bounds): Promise<string> {
  return answerOf((options) => overHttp(options), { socketPath, path, agent: false }, bounds);
}

/** @throws as askSocket; also Error of TLS */
export function askTls(options: TlsOptions, bounds: Bounds): Promise<string> {
  const headers = { 'accept-encoding': 'gzip' };
  const all: TlsOptions = { ...options, headers, rejectUnauthorized: true, minVersion: 'TLSv1.3' };
  return answerOf((each) => overTls(each), all, bounds);
}

function answerOf<T extends RequestOptions>(
  start: (options: T) => ReturnType<typeof overHttp>,
  options: T,
  { timeoutMs, bytesMax }: Bounds,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = start(options);
    const timer = setTimeout(
      () => asked.destroy(new Error(`no answer within ${formatDuration(timeoutMs)}`)),
      timeoutMs,
    );
    asked.on('close', () => clearTimeout(timer));
    asked.on('error', reject);
    asked.on('response', (response) => {
      read(response, bytesMax).then(resolve, (error: Error) => {
        asked.destroy(error);
        reject(error);
      });
    });
    asked.end();
  });
}

async function read(response: IncomingMessage, bytesMax: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > bytesMax) throw new Error(`its answer has more than ${bytesMax} bytes`);
    parts.push(part);
  }
  const body = Buffer.concat(parts);
  const isZipped = response.headers['content-encoding'] === 'gzip';
  const text = (isZipped ? await unzip(body, { maxOutputLength: bytesMax }) : body).toString();
  if (response.statusCode !== 200) throw new Error(refusalIn(text) ?? `it answers ${response.statusCode}`);
  return text;
}

/** What an error of the control API says. */
function refusalIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message : undefined;
  } catch {
    return undefined;
  }
}
