/** Certificates to trust, in PEM. */
import { X509Certificate } from 'node:crypto';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** All certificates in a text, in its order; undefined when one of them cannot be read. */
export function certificatesIn(text: string): X509Certificate[] | undefined {
  try {
    return (text.match(CERTIFICATE) ?? []).map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}
