/**
 * The outer headers of a tunnelled packet: read from a frame that an engine made, and put around packets of our own. A probe that has the
 * very headers of a client's flow takes the same way through the underlay, also where routers spread flows by what these say.
 */
import { addressFromBytes, type IpAddress } from '../packet/address.js';
import { finish, sumWords } from '../packet/checksum.js';
import { P } from '../packet/constants.js';

const PROTOCOL_GRE = 47;
const VLAN_ID = 0xfff;

export interface Outer {
  readonly family: 4 | 6;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** The GRE key, if there is one. */
  readonly key: number | undefined;
  /** IP and GRE header as they were sent. */
  readonly header: Uint8Array;
}

export interface FrameFacts {
  readonly outer: Outer;
  /** `02:00:00:00:00:01`: the next hop's. */
  readonly destinationMac: string;
  readonly vlan: number | undefined;
}

/** Of an Ethernet frame; undefined when it holds no GRE, as an answer of the node itself does not. */
export function readFrame(frame: Uint8Array): FrameFacts | undefined {
  if (frame.length < P.ETHERNET_HEADER + P.VLAN_TAG) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const isTagged = view.getUint16(12) === P.ETHERTYPE_VLAN;
  const outer = readOuter(frame.subarray(P.ETHERNET_HEADER + (isTagged ? P.VLAN_TAG : 0)));
  if (outer === undefined) return undefined;
  const mac = Array.from(frame.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0'));
  return { outer, destinationMac: mac.join(':'), vlan: isTagged ? view.getUint16(14) & VLAN_ID : undefined };
}

/** Of an IP packet with GRE right behind a header without options; undefined for anything else. */
export function readOuter(packet: Uint8Array): Outer | undefined {
  const family = (packet[0] ?? 0) >>> 4;
  if (family !== 4 && family !== 6) return undefined;
  const ip = family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  if (packet.length < ip + P.GRE_HEADER + P.GRE_KEY) return undefined;
  if ((family === 4 && packet[0] !== 0x45) || packet[family === 4 ? 9 : 6] !== PROTOCOL_GRE) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const hasKey = (view.getUint16(ip) & P.GRE_FLAG_KEY) !== 0;
  const [at, bytes] = family === 4 ? [12, 4] : [8, 16];
  return {
    family,
    source: addressFromBytes(packet.slice(at, at + bytes)),
    destination: addressFromBytes(packet.slice(at + bytes, at + 2 * bytes)),
    key: hasKey ? view.getUint32(ip + P.GRE_HEADER) : undefined,
    header: packet.slice(0, ip + P.GRE_HEADER + (hasKey ? P.GRE_KEY : 0)),
  };
}

/**
 * An IP packet with these outer headers around an inner one, of any IP version.
 * @param ttl of the outer header, or its hop limit; as it was when not given
 */
export function wrapIn({ family, header }: Outer, inner: Uint8Array, ttl?: number): Buffer {
  const packet = Buffer.alloc(header.length + inner.length);
  packet.set(header);
  packet.set(inner, header.length);
  const ip = family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  packet.writeUInt16BE(inner[0] >>> 4 === 4 ? P.ETHERTYPE_IPV4 : P.ETHERTYPE_IPV6, ip + 2);
  if (ttl !== undefined) packet[family === 4 ? 8 : 7] = ttl;
  if (family === 6) {
    packet.writeUInt16BE(packet.length - P.IPV6_HEADER, 4);
    return packet;
  }
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(0, 10);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  packet.writeUInt16BE(finish(sumWords(view, 0, P.IPV4_HEADER)), 10);
  return packet;
}
