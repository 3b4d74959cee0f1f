/** Names a secret of the fleet without telling anything of it. */
import { hkdfSync } from 'node:crypto';

/** Of what `keyFingerprint` gives. */
export const FINGERPRINT_PATTERN = /^[0-9a-f]{16}$/;

/**
 * What tells two secrets apart: eight bytes derived for that alone, in hexadecimal digits. Nodes with different ones hash every flow
 * otherwise, whatever their tables say.
 */
export function keyFingerprint(secret: Uint8Array): string {
  return Buffer.from(hkdfSync('sha256', secret, new Uint8Array(0), 'anyhop key-fingerprint v1', 8)).toString(
    'hex',
  );
}
