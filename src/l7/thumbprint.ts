/** The thumbprint of a public key as JSON Web Key (RFC 7638), by which an ACME account shows that a host answers for it. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';

/** Members that count, in the order of their names (RFC 7638, section 3.2), by kind of key. */
const MEMBERS: Readonly<Record<string, readonly ('crv' | 'e' | 'kty' | 'n' | 'x' | 'y')[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  RSA: ['e', 'kty', 'n'],
};
/** Of what ACME servers accept. */
const CURVES: readonly string[] = ['P-256', 'P-384'];
const EXPECTED = 'expected a key in PEM, RSA or EC (P-256, P-384)';

/** Why a text holds no usable key: the second half of a sentence. */
export class KeyFault extends Error {}

/**
 * 43 characters of base64url.
 * @param pem a private or public key in PEM
 * @throws KeyFault
 */
export function thumbprintOf(pem: string): string {
  const { kty = '', ...jwk } = publicKey(pem).export({ format: 'jwk' });
  const members = MEMBERS[kty];
  if (members === undefined || (jwk.crv !== undefined && !CURVES.includes(jwk.crv)))
    throw new KeyFault(`it holds a key of another kind (${jwk.crv ?? kty}); ${EXPECTED}`);
  const counted = Object.fromEntries(members.map((name) => [name, name === 'kty' ? kty : jwk[name]]));
  return createHash('sha256').update(JSON.stringify(counted)).digest('base64url');
}

function publicKey(pem: string): KeyObject {
  if (/ENCRYPTED/.test(pem)) throw new KeyFault('its key has a passphrase; expected a key without one');
  if (/-----BEGIN CERTIFICATE-----/.test(pem)) throw new KeyFault(`it holds a certificate; ${EXPECTED}`);
  try {
    return createPublicKey(pem);
  } catch {
    throw new KeyFault(`it holds no key that can be read; ${EXPECTED}`);
  }
}
