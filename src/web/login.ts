/** HTTP basic authentication (RFC 7617) of one user. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ListenerSetup } from './mail.js';

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;

/**
 * @param header of the request
 * @returns whether it has user and password; how long that takes says nothing of them
 */
export function isLoggedIn(
  { user, password }: NonNullable<ListenerSetup['login']>,
  header: string | undefined,
): boolean {
  const said = Buffer.from(BASIC.exec(header ?? '')?.[1] ?? '', 'base64');
  const right = Buffer.concat([Buffer.from(`${user}:`), password]);
  // Digests have one length, whatever was said.
  return timingSafeEqual(digest(said), digest(right));
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
