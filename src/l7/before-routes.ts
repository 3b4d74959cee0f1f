/**
 * What a frontend does with a request before its routes see it, as facts that two readers share: what is rendered for HAProxy
 * (render/frontend.ts), and what `which --url` says (which/answer.ts). Which headers are deleted is in config/l7/header-names.ts.
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
