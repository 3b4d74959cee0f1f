/**
 * The smallest frame of a flow: what `anyhop which` sends through the pipeline to ask where the flow goes. Checksums
 * of the transport are left zero, since nothing on the way looks at them.
 */
import type { IpAddress } from './address.js';
import { finish, sumWords } from './checksum.js';
import { P } from './constants.js';

export interface Endpoint {
  readonly address: IpAddress;
  /** 0 to 65535. */
  readonly port: number;
}

/** An Ethernet frame from `source` to `destination`, which are of one family. */
export function composeFrame(protocol: 'tcp' | 'udp', source: Endpoint, destination: Endpoint): Uint8Array {
  const isIpv4 = destination.address.family === 4;
  const transport = protocol === 'tcp' ? P.TCP_HEADER : P.UDP_HEADER;
  const number = protocol === 'tcp' ? P.PROTOCOL_TCP : P.PROTOCOL_UDP;
  const l3 = P.ETHERNET_HEADER;
  const l4 = l3 + (isIpv4 ? P.IPV4_HEADER : P.IPV6_HEADER);
  const frame = new Uint8Array(l4 + transport);
  const view = new DataView(frame.buffer);
  view.setUint16(12, isIpv4 ? P.ETHERTYPE_IPV4 : P.ETHERTYPE_IPV6);
  if (isIpv4) {
    view.setUint16(l3, 0x4500);
    view.setUint16(l3 + 2, P.IPV4_HEADER + transport);
    view.setUint16(l3 + 6, P.IPV4_DONT_FRAGMENT);
    view.setUint16(l3 + 8, (P.NODE_TTL << 8) | number);
    frame.set(source.address.bytes, l3 + 12);
    frame.set(destination.address.bytes, l3 + 16);
    view.setUint16(l3 + 10, finish(sumWords(view, l3, P.IPV4_HEADER)));
  } else {
    view.setUint8(l3, 0x60);
    view.setUint16(l3 + 4, transport);
    view.setUint16(l3 + 6, (number << 8) | P.NODE_TTL);
    frame.set(source.address.bytes, l3 + 8);
    frame.set(destination.address.bytes, l3 + 24);
  }
  view.setUint16(l4, source.port);
  view.setUint16(l4 + 2, destination.port);
  if (protocol === 'tcp')
    view.setUint8(l4 + 12, 0x50); // data offset: five words
  else view.setUint16(l4 + 4, transport);
  return frame;
}
