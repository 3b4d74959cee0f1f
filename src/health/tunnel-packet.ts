/** A packet wrapped for one backend, as the packet side would wrap it: the template of its image, completed for one packet. */

import { L } from '../core/layout.gen.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';
import { finish, sumWords } from '../packet/checksum.js';
import { P } from '../packet/constants.js';
import { writeTemplate } from '../packet/template.js';

const NO_MAC = new Uint8Array(6);
/** Of no interest here: the kernel finds the way. */
const ANY_MTU = L.PATH_MTU_MIN;

/** Where wrapped packets leave from and go to. */
export interface TunnelPath {
  /** Of the backend's family at least. */
  readonly source4: IpPrefix | undefined;
  readonly source6: IpPrefix | undefined;
  readonly backend: IpAddress;
}

/**
 * The outer IP packet around an inner one.
 * @param entropy 32 bits that spread the packets of different flows over the underlay: within the IPv4 source prefix, or as
 *   the IPv6 flow label
 */
export function wrap({ source4, source6, backend }: TunnelPath, inner: Uint8Array, entropy: number): Buffer {
  const template = new Uint8Array(L.TEMPLATE_SIZE);
  const templateView = new DataView(template.buffer);
  const path = {
    name: backend.text,
    address: backend,
    mtu: ANY_MTU,
    sourceMac: NO_MAC,
    destinationMac: NO_MAC,
    vlan: undefined,
  };
  const l2 = writeTemplate(template, templateView, 0, path, source4?.address, source6?.address);
  const ipLength = backend.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  const start = ipLength + P.GRE_HEADER;
  const packet = Buffer.alloc(start + inner.length);
  packet.set(template.subarray(l2, l2 + start));
  packet.set(inner, start);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  view.setUint16(ipLength + 2, inner[0] >> 4 === 4 ? P.ETHERTYPE_IPV4 : P.ETHERTYPE_IPV6);
  if (backend.family === 6) {
    view.setUint32(0, 0x60000000 | (entropy & 0xfffff));
    view.setUint16(4, P.GRE_HEADER + inner.length);
  } else {
    const hosts = source4!.length === 32 ? 0 : 0xffffffff >>> source4!.length;
    view.setUint32(12, (view.getUint32(12) | (entropy & hosts)) >>> 0);
    view.setUint16(2, packet.length);
    view.setUint16(10, finish(sumWords(view, 0, P.IPV4_HEADER)));
  }
  return packet;
}
