/** A public key (ed25519, RFC 8032) as it stands in a config: 32 bytes in base64. */
import { parsed } from './fields.js';

export const PUBLIC_KEY_BYTES = 32;
const PATTERN = /^[A-Za-z0-9+/]{43}=$/;

/** @param what it is, for messages */
export function publicKey(what: string) {
  return parsed(`${what}, 43 characters and "="`, parsePublicKey, PATTERN);
}

/** Undefined for what is none, or written in another way than it would be. */
export function parsePublicKey(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === PUBLIC_KEY_BYTES && bytes.toString('base64') === text ? bytes : undefined;
}
