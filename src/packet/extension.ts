/** Numbers and lengths of IPv6 extension headers (RFC 8200 section 4, RFC 4302). */
import { P } from './constants.js';

export function isExtension(protocol: number): boolean {
  return (
    protocol === P.PROTOCOL_HOP_BY_HOP ||
    protocol === P.PROTOCOL_ROUTING ||
    protocol === P.PROTOCOL_FRAGMENT ||
    protocol === P.PROTOCOL_DESTINATION ||
    protocol === P.PROTOCOL_AUTHENTICATION
  );
}

/** Bytes of an extension header with this length field: 8 to 2048. */
export function extensionLength(protocol: number, field: number): number {
  if (protocol === P.PROTOCOL_FRAGMENT) return 8;
  // RFC 4302 counts 4-byte words minus two, the others count 8 bytes minus one.
  return protocol === P.PROTOCOL_AUTHENTICATION ? (field + 2) * 4 : (field + 1) * 8;
}
