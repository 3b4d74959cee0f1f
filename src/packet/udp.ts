/** UDP datagrams with a checksum, which IPv6 requires (RFC 8200 section 8.1). */
import { finish, sumWords } from './checksum.js';
import { type Endpoint, writeIpHeader } from './compose.js';
import { P } from './constants.js';

/**
 * An IP packet with a datagram and correct checksums.
 * @param source and destination of one family
 * @param padding zero bytes of payload
 */
export function composeUdp(
  source: Endpoint,
  destination: Endpoint,
  padding: number,
): Uint8Array<ArrayBuffer> {
  const ip = source.address.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  const length = P.UDP_HEADER + padding;
  const packet = new Uint8Array(ip + length);
  const view = new DataView(packet.buffer);
  writeIpHeader(view, 0, source.address, destination.address, P.PROTOCOL_UDP, length);
  view.setUint16(ip, source.port);
  view.setUint16(ip + 2, destination.port);
  view.setUint16(ip + 4, length);
  const addresses = 2 * source.address.bytes.length;
  const sum = sumWords(view, ip - addresses, addresses + P.UDP_HEADER) + P.PROTOCOL_UDP + length;
  view.setUint16(ip + 6, finish(sum) || 0xffff); // 0 would mean none
  return packet;
}
