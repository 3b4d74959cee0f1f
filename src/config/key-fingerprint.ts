/** Names a secret of the fleet without telling anything of it. */
import { hkdfSync } from 'node:crypto';

/** Of what `keyFingerprint` gives. */
export const FINGERPRINT_PATTERN = /^[0-9a-f]{16}$/;

/** A node says it of its secret twice a second. */
const told = new WeakMap<Uint8Array, string>();

/**
 * What tells two secrets apart: eight bytes derived for that alone, in hexadecimal digits. Nodes with different ones hash every flow
 * otherwise, whatever their tables say.
 */
export function keyFingerprint(secret: Uint8Array): string {
  const known = told.get(secret);
  if (known !== undefined) return known;
  const derived = hkdfSync('sha256', secret, new Uint8Array(0), 'anyhop key-fingerprint v1', 8);
  const fingerprint = Buffer.from(derived).toString('hex');
  told.set(secret, fingerprint);
  return fingerprint;
}
