/** TCP segments without options, which probes through the tunnel send and read (RFC 9293). */
import { finish, sumWords } from './checksum.js';
import { type Endpoint, writeIpHeader } from './compose.js';
import { P } from './constants.js';

export interface TcpSegment {
  /** 16 bits each. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** 32 bits each, unsigned. */
  readonly sequence: number;
  readonly acknowledgment: number;
  /** P.TCP_SYN and the like. */
  readonly flags: number;
}

/** For a SYN; its connection is reset before any data. */
const WINDOW = 1024;
const DATA_OFFSET = (P.TCP_HEADER / 4) << 4;

/**
 * An IP packet with a segment and correct checksums.
 * @param source and destination of one family
 * @param padding zero bytes of payload
 */
export function composeTcp(
  source: Endpoint,
  destination: Endpoint,
  { sequence, acknowledgment, flags }: Omit<TcpSegment, 'sourcePort' | 'destinationPort'>,
  padding = 0,
): Uint8Array<ArrayBuffer> {
  const ipLength = source.address.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  const length = P.TCP_HEADER + padding;
  const packet = new Uint8Array(ipLength + length);
  const view = new DataView(packet.buffer);
  writeIpHeader(view, 0, source.address, destination.address, P.PROTOCOL_TCP, length);
  view.setUint16(ipLength, source.port);
  view.setUint16(ipLength + 2, destination.port);
  view.setUint32(ipLength + 4, sequence);
  view.setUint32(ipLength + 8, acknowledgment);
  view.setUint8(ipLength + 12, DATA_OFFSET);
  view.setUint8(ipLength + 13, flags);
  view.setUint16(ipLength + 14, WINDOW);
  // The pseudo-header: addresses, protocol and length (RFC 9293 section 3.1, RFC 8200 section 8.1).
  const addressBytes = 2 * source.address.bytes.length;
  const sum = sumWords(view, ipLength - addressBytes, addressBytes + P.TCP_HEADER) + P.PROTOCOL_TCP + length;
  view.setUint16(ipLength + 16, finish(sum));
  return packet;
}

/** Reads a TCP header at `at`; undefined when it is cut short. */
export function readTcp(packet: Uint8Array, at: number): TcpSegment | undefined {
  if (packet.length < at + P.TCP_HEADER) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset + at, P.TCP_HEADER);
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    sequence: view.getUint32(4),
    acknowledgment: view.getUint32(8),
    flags: view.getUint8(13),
  };
}
