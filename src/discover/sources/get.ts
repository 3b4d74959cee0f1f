/** One GET of a source, with bounds on time and size. Redirects are not followed: a source is where the config says. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { readSmallFile } from '../../config/file.js';
import { certificatesIn } from '../../config/pem.js';
import { DISCOVER_BYTES_MAX, DISCOVER_SECRET_BYTES_MAX, HEALTH_CA_BYTES_MAX } from '../../core/limits.js';
import { reasonWithPlace } from '../../core/reason.js';
import { formatDuration } from '../../core/time.js';
import { tlsReason } from './tls-reason.js';

export interface Get {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** File with the certificates of those who sign the server's; read each time, since files are renewed. */
  readonly caFile?: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** @throws Error with the reason; a status is for the caller to judge */
export async function get({ url, headers, caFile, timeoutMs, signal }: Get): Promise<Got> {
  const ca = caFile === undefined ? undefined : authoritiesIn(caFile);
  const late = AbortSignal.timeout(timeoutMs);
  const request = url.startsWith('https:') ? requestHttps : requestHttp;
  try {
    return await new Promise<Got>((resolve, reject) => {
      const asked = request(
        url,
        { headers, agent: false, signal: AbortSignal.any([signal, late]), ...(ca && { ca }) },
        (answer) => {
          const parts: Buffer[] = [];
          let bytes = 0;
          answer
            .on('data', (part: Buffer) => {
              bytes += part.length;
              if (bytes > DISCOVER_BYTES_MAX)
                asked.destroy(new Error(`more than ${DISCOVER_BYTES_MAX} bytes`));
              else parts.push(part);
            })
            .on('error', reject)
            .on('aborted', () => reject(new Error('the connection ended within the answer')))
            .on('end', () =>
              resolve({
                status: answer.statusCode ?? 0,
                headers: answer.headers,
                body: Buffer.concat(parts),
              }),
            );
        },
      );
      asked.on('error', reject).end();
    });
  } catch (error) {
    throw new Error(
      late.aborted
        ? `${url}: no answer within ${formatDuration(timeoutMs)}`
        : `${url}: ${tlsReason(error, caFile) ?? reasonWithPlace(error)}`,
    );
  }
}

/** A secret that a file holds, without the line break at its end; read each time, since tokens are renewed. */
export function tokenIn(file: string): string {
  const token = new TextDecoder().decode(read(file, DISCOVER_SECRET_BYTES_MAX)).trim();
  if (/^[!-~]+$/.test(token)) return token;
  throw new Error(`${file}: it holds no token: one line of printable characters`);
}

function authoritiesIn(file: string): string {
  const text = new TextDecoder().decode(read(file, HEALTH_CA_BYTES_MAX));
  if ((certificatesIn(text) ?? []).length > 0) return text;
  throw new Error(`${file}: it has no readable certificate; expected certificates in PEM`);
}

function read(file: string, bytesMax: number): Uint8Array {
  try {
    return readSmallFile(file, bytesMax).bytes;
  } catch (error) {
    throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
