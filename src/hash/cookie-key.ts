/**
 * The key of a fleet's SYN cookies: 16 bytes, derived from the fleet's secret, or given, so that backends, which need it to check
 * cookies, need not hold that secret.
 */
import { hkdfSync } from 'node:crypto';

/** Bytes. */
export const COOKIE_KEY_SIZE = 16;

/** By HKDF-SHA256 (RFC 5869; no salt) from the fleet's secret. */
export function deriveCookieKey(secret: Uint8Array): Uint8Array {
  return derive(secret, 'anyhop syn-cookie v1', COOKIE_KEY_SIZE);
}

/** What tells two keys apart without telling anything of them, in hexadecimal digits: agents report those that they accept. */
export function cookieKeyFingerprint(key: Uint8Array): string {
  return Buffer.from(derive(key, 'anyhop syn-cookie-fingerprint v1', 8)).toString('hex');
}

function derive(secret: Uint8Array, info: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), info, bytes));
}
