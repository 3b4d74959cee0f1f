/**
 * Turns captured records into Ethernet frames (tcpdump.org/linktypes.html). Captures of "any" or of a tunnel have no Ethernet
 * header; a made-up one says that a router sent the packet to this node.
 */
import { P } from './constants.js';
import { NODE_MAC, ROUTER_MAC } from './mac.js';

/** libpcap's MAXIMUM_SNAPLEN: a longer record or frame is damaged. */
export const FRAME_BYTES_MAX = 262_144;

/** The header before the packet in each record of a link type. */
export interface Link {
  readonly headerBytes: number;
  /** EtherType of the packet, from a whole header and the available part of the packet; 0 when it has none. */
  readonly type: (record: DataView) => number;
}

/** IPv6 families of Linux, NetBSD and OpenBSD, FreeBSD, Darwin; IPv4 is 2 everywhere. */
const AF_INET = 2;
const AF_INET6: readonly number[] = [10, 24, 28, 30];

const rawIp: Link = {
  headerBytes: 0,
  type: (record) => {
    const version = record.byteLength === 0 ? 0 : record.getUint8(0) >> 4;
    return version === 4 ? P.ETHERTYPE_IPV4 : version === 6 ? P.ETHERTYPE_IPV6 : 0;
  },
};
/** BSD's loopback: the family in the byte order of the capturing machine. */
const loopback: Link = {
  headerBytes: 4,
  type: (record) => {
    const family = [true, false].map((little) => record.getUint32(0, little)).find((each) => each < 256);
    if (family === AF_INET) return P.ETHERTYPE_IPV4;
    return family !== undefined && AF_INET6.includes(family) ? P.ETHERTYPE_IPV6 : 0;
  },
};

export const ETHERNET: Link = { headerBytes: P.ETHERNET_HEADER, type: (record) => record.getUint16(12) };

const LINKS: ReadonlyMap<number, Link> = new Map([
  [0, loopback], // NULL
  [1, ETHERNET],
  [12, rawIp], // the number on some systems
  [14, rawIp],
  [101, rawIp],
  [108, loopback], // LOOP
  [113, { headerBytes: 16, type: (record) => record.getUint16(14) }], // LINUX_SLL
  [228, { headerBytes: 0, type: () => P.ETHERTYPE_IPV4 }],
  [229, { headerBytes: 0, type: () => P.ETHERTYPE_IPV6 }],
  [276, { headerBytes: 20, type: (record) => record.getUint16(0) }], // LINUX_SLL2
]);

export const KNOWN_LINKS =
  'Ethernet (1), Linux cooked (113, 276), raw IP (101, 228, 229) and BSD loopback (0, 108)';

export function linkOf(linkType: number): Link | undefined {
  return LINKS.get(linkType);
}

/** Makes frames from records, in reused memory. */
export class FrameMaker {
  #memory: Uint8Array | undefined;

  /** An Ethernet record unchanged; another one as a frame that is valid until the next call, empty if its header is cut short. */
  frame(link: Link, record: Uint8Array): Uint8Array {
    if (link === ETHERNET) return record;
    if (record.length < link.headerBytes) return record.subarray(0, 0);
    this.#memory ??= new Uint8Array(FRAME_BYTES_MAX);
    const packet = record.subarray(link.headerBytes, link.headerBytes + FRAME_BYTES_MAX - P.ETHERNET_HEADER);
    const type = link.type(new DataView(record.buffer, record.byteOffset, record.byteLength));
    this.#memory.set(NODE_MAC, 0);
    this.#memory.set(ROUTER_MAC, 6);
    this.#memory[12] = type >> 8;
    this.#memory[13] = type & 0xff;
    this.#memory.set(packet, P.ETHERNET_HEADER);
    return this.#memory.subarray(0, P.ETHERNET_HEADER + packet.length);
  }
}

/** Length of the frame that a record of this length makes. */
export function frameLength(link: Link, recordLength: number): number {
  if (link === ETHERNET) return recordLength;
  return Math.max(0, recordLength - link.headerBytes) + P.ETHERNET_HEADER;
}
