/**
 * What filters look at in a frame: the addresses, the protocol and the ports of the packet that a client sent. At a forwarder that is the packet in the
 * frame, at an agent the packet inside of GRE, or, where that cannot be found, the packet in the frame.
 *
 * The pipeline refuses what is damaged; this reads as far as it can, since damaged packets are what people look for. It reads the bytes that were
 * kept, which may be fewer than the frame had: what is not there is unknown. One object is filled again and again: the engines call it for each
 * packet while they record.
 */
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';
import { extensionLength, isExtension } from '../packet/extension.js';
import type { CapturePoint } from './record.js';

const NO_PORT = -1;
const PROTOCOL_GRE = 47;
const GRE_CHECKSUM = 0x8000;
const GRE_SEQUENCE = 0x1000;

export class PacketFields {
  /** The bytes that offsets are of. */
  bytes: Uint8Array = new Uint8Array(0);
  /** 4, 6, or 0 for neither. */
  family = 0;
  /** Offsets of the addresses; of no meaning with family 0. */
  source = 0;
  destination = 0;
  /** Behind extension headers; -1 when unknown. */
  protocol = -1;
  /** -1 without one: a later fragment, ICMP, cut short. */
  sourcePort = NO_PORT;
  destinationPort = NO_PORT;
  /** Of a TCP header; 0 without one. */
  tcpFlags = 0;
  /** Offset of the transport header, or of what stands in its place. */
  transport = 0;

  /** @param length bytes of the frame from `start` on that are there */
  read(bytes: Uint8Array, start: number, length: number, point: CapturePoint): this {
    const end = start + length;
    this.bytes = bytes;
    this.family = 0;
    let l3 = start + P.ETHERNET_HEADER;
    if (end < l3) return this;
    let type = half(bytes, l3 - 2);
    for (let tags = 0; tags < L.VLAN_TAGS_READ; tags++) {
      if (type !== P.ETHERTYPE_VLAN && type !== P.ETHERTYPE_SERVICE_VLAN) break;
      l3 += P.VLAN_TAG;
      if (end < l3) return this;
      type = half(bytes, l3 - 2);
    }
    this.#readIp(type, l3, end);
    if (point === 'agent' && this.family !== 0 && this.protocol === PROTOCOL_GRE)
      this.#readInside(this.transport, end);
    return this;
  }

  #readInside(gre: number, end: number): void {
    if (end < gre + P.GRE_HEADER) return;
    const flags = half(this.bytes, gre);
    let inner = gre + P.GRE_HEADER;
    if ((flags & GRE_CHECKSUM) !== 0) inner += 4;
    if ((flags & P.GRE_FLAG_KEY) !== 0) inner += P.GRE_KEY;
    if ((flags & GRE_SEQUENCE) !== 0) inner += 4;
    const type = half(this.bytes, gre + 2);
    const isWhole = end >= inner + (type === P.ETHERTYPE_IPV4 ? P.IPV4_HEADER : P.IPV6_HEADER);
    if (isWhole && (type === P.ETHERTYPE_IPV4 || type === P.ETHERTYPE_IPV6)) this.#readIp(type, inner, end);
  }

  #readIp(type: number, l3: number, end: number): void {
    this.protocol = -1;
    this.sourcePort = this.destinationPort = NO_PORT;
    this.tcpFlags = 0;
    if (type === P.ETHERTYPE_IPV4) this.#readIpv4(l3, end);
    else if (type === P.ETHERTYPE_IPV6) this.#readIpv6(l3, end);
  }

  #readIpv4(l3: number, end: number): void {
    const { bytes } = this;
    if (end < l3 + P.IPV4_HEADER) return;
    this.family = 4;
    this.source = l3 + 12;
    this.destination = l3 + 16;
    this.protocol = bytes[l3 + 9];
    this.transport = l3 + (bytes[l3] & 15) * 4;
    if ((half(bytes, l3 + 6) & P.IPV4_OFFSET) === 0) this.#readPorts(end);
  }

  #readIpv6(l3: number, end: number): void {
    const { bytes } = this;
    if (end < l3 + P.IPV6_HEADER) return;
    this.family = 6;
    this.source = l3 + 8;
    this.destination = l3 + 24;
    let next = bytes[l3 + 6];
    let at = l3 + P.IPV6_HEADER;
    while (isExtension(next)) {
      if (end < at + 8) return;
      const isLater = next === P.PROTOCOL_FRAGMENT && (half(bytes, at + 2) & P.IPV6_OFFSET) !== 0;
      const length = extensionLength(next, bytes[at + 1]);
      next = bytes[at];
      at += length;
      if (!isLater) continue;
      // What follows is the middle of something; only its protocol is known.
      this.protocol = next;
      this.transport = at;
      return;
    }
    this.protocol = next;
    this.transport = at;
    this.#readPorts(end);
  }

  #readPorts(end: number): void {
    const { bytes, protocol, transport } = this;
    if (protocol !== P.PROTOCOL_TCP && protocol !== P.PROTOCOL_UDP) return;
    if (end < transport + 4) return;
    this.sourcePort = half(bytes, transport);
    this.destinationPort = half(bytes, transport + 2);
    if (protocol === P.PROTOCOL_TCP && end >= transport + 14) this.tcpFlags = bytes[transport + 13];
  }
}

function half(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}
