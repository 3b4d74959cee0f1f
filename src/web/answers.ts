/** Short answers of the listener, and what every answer says to browsers. */
import type { ServerResponse } from 'node:http';

/** A page may do nothing, be in no frame, and leave nothing behind; whoever answers with a page allows what it needs. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

export function secure(response: ServerResponse): void {
  for (const [field, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(field, value);
}

/** @param text a line without its end */
export function say(response: ServerResponse, status: number, text: string): void {
  const body = `${text}\n`;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    // Only a good answer keeps the connection open.
    ...(status !== 200 && { connection: 'close' }),
  });
  response.end(body);
}
