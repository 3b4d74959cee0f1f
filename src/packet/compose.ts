/**
 * The smallest frame of a flow, which `anyhop which` sends through the pipeline. Transport checksums are zero, since the pipeline
 * does not check them.
 */
import { type IpAddress, parseAddress } from './address.js';
import { finish, sumWords } from './checksum.js';
import { P } from './constants.js';

export interface Endpoint {
  readonly address: IpAddress;
  /** 0 to 65535. */
  readonly port: number;
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`; undefined for anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = match === null ? undefined : parseAddress(match[1] ?? match[2]);
  const port = Number(match?.[3]);
  if (address === undefined || port > 65535 || (match?.[1] === undefined) !== (address.family === 4))
    return undefined;
  return { address, port };
}

export function formatEndpoint({ address, port }: Endpoint): string {
  return address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}

/** An Ethernet frame from `source` to `destination`, which have the same family. */
export function composeFrame(protocol: 'tcp' | 'udp', source: Endpoint, destination: Endpoint): Uint8Array {
  const isIpv4 = destination.address.family === 4;
  const transport = protocol === 'tcp' ? P.TCP_HEADER : P.UDP_HEADER;
  const number = protocol === 'tcp' ? P.PROTOCOL_TCP : P.PROTOCOL_UDP;
  const l3 = P.ETHERNET_HEADER;
  const l4 = l3 + (isIpv4 ? P.IPV4_HEADER : P.IPV6_HEADER);
  const frame = new Uint8Array(l4 + transport);
  const view = new DataView(frame.buffer);
  view.setUint16(12, isIpv4 ? P.ETHERTYPE_IPV4 : P.ETHERTYPE_IPV6);
  writeIpHeader(view, l3, source.address, destination.address, number, transport);
  view.setUint16(l4, source.port);
  view.setUint16(l4 + 2, destination.port);
  if (protocol === 'tcp')
    view.setUint8(l4 + 12, 0x50); // data offset: five words
  else view.setUint16(l4 + 4, transport);
  return frame;
}

/** Writes an IP header without options, with the checksum for IPv4. @param length of the payload, in bytes */
export function writeIpHeader(
  view: DataView,
  at: number,
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  length: number,
): void {
  const addressBytes = source.bytes.length;
  const addresses = at + (source.family === 4 ? 12 : 8);
  for (let i = 0; i < addressBytes; i++) {
    view.setUint8(addresses + i, source.bytes[i]);
    view.setUint8(addresses + addressBytes + i, destination.bytes[i]);
  }
  if (source.family === 4) {
    view.setUint32(at, 0x45000000 | (P.IPV4_HEADER + length));
    view.setUint32(at + 4, P.IPV4_DONT_FRAGMENT);
    view.setUint32(at + 8, (P.NODE_TTL << 24) | (protocol << 16));
    view.setUint16(at + 10, finish(sumWords(view, at, P.IPV4_HEADER)));
  } else {
    view.setUint32(at, 0x60000000);
    view.setUint32(at + 4, (length << 16) | (protocol << 8) | P.NODE_TTL);
  }
}
