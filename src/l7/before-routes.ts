/**
 * What a frontend does with a request before its routes see it, as facts that two readers share: what is rendered for HAProxy
 * (render/frontend.ts), and what `which --url` says (which/answer.ts).
 */
import type { L7Bind } from '../config/l7/types.js';

/** HTTP-01 challenges (RFC 8555, section 8.3), by their path. HAProxy reads both patterns as JavaScript does. */
export const CHALLENGE_PATH = /^\/\.well-known\/acme-challenge\/[A-Za-z0-9_-]{1,128}$/;

/** A host that a redirect to https may lead to, after it was made ready to be compared. */
export const PLAUSIBLE_HOST = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;
export const PLAUSIBLE_HOST_CHARS_MAX = 253;

const HTTPS_PORT = 443;

/** Of a redirect to https: undefined for the port that URLs leave out. */
export function redirectPort(binds: readonly L7Bind[]): number | undefined {
  const isUsual = binds.some(({ portFirst, portLast }) => portFirst <= HTTPS_PORT && HTTPS_PORT <= portLast);
  return isUsual ? undefined : binds[0]!.portFirst;
}

/** Headers by which a client could pass for another, for another request, or reach servers by another protocol: they are deleted. */
export const DISTRUSTED_HEADERS: readonly string[] = [
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'x-request-id',
  'x-original-url',
  'x-rewrite-url',
  'proxy',
  'proxy-connection',
  'keep-alive',
  'http2-settings',
];
/** So are headers whose names begin like this. */
export const DISTRUSTED_START = 'x-forwarded';

export function isDistrusted(headerName: string): boolean {
  const name = headerName.toLowerCase();
  return name.startsWith(DISTRUSTED_START) || DISTRUSTED_HEADERS.includes(name);
}
