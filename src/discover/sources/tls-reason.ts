/** Why a server's certificate is not taken, in words: few readers know UNABLE_TO_VERIFY_LEAF_SIGNATURE. */
import type { PeerCertificate } from 'node:tls';
import { printable } from '../../core/printable.js';

const NAMES_CHARS_MAX = 200;
const STRANGER = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]);

/** @param caFile of the config @returns undefined for any other error */
export function tlsReason(error: unknown, caFile: string | undefined): string | undefined {
  const { code, host, cert } = error as NodeJS.ErrnoException & {
    readonly host?: string;
    readonly cert?: PeerCertificate;
  };
  if (code !== undefined && STRANGER.has(code))
    return caFile === undefined
      ? 'its certificate is signed by no well-known authority; name the file with the certificate of its own in ca_file'
      : `its certificate is not signed by an authority of ca_file (${caFile})`;
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate, or that of its authority, has expired';
  if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet, by the clock of this host';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `its certificate is for ${printable(cert?.subjectaltname ?? 'no name', NAMES_CHARS_MAX)}, and not for ${printable(host ?? '')}`;
  if (code === 'EPROTO') return 'it does not speak TLS as this program does';
  return undefined;
}
