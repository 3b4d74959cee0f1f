/**
 * Packets for tests, in words instead of hex:
 *
 *   frame({ vlans: [10] }, ipv4({ src: '198.51.100.7', dst: '203.0.113.10' }), tcp({ sport: 40000, dport: 80 }), payload(100))
 *
 * Lengths, next-header numbers and checksums are right unless an option overrides them. This file adds Ethernet and
 * gathers the layers; they are explained where they are made.
 */
import { concat, fields, type Layer, macBytes, packet, payload } from './layer.js';

export * from './ip.js';
export { concat, type Layer, packet, payload } from './layer.js';
export * from './transport.js';

/** The node's own MAC address in tests: frames go to it unless they say otherwise. */
export const NODE_MAC = '02:00:00:00:00:01';
/** The router from which clients' frames come. */
export const ROUTER_MAC = '02:00:00:00:00:02';

export interface VlanTag {
  id: number;
  /** 0 to 7. */
  priority?: number;
  /** 0x8100 (802.1Q) unless given; 0x88a8 is the outer tag of 802.1ad. */
  tpid?: number;
}

export interface EthernetOptions {
  dst?: string;
  src?: string;
  /** Outermost first; a number is a VLAN id. */
  vlans?: readonly (number | VlanTag)[];
  /** Override; needed for what is not IP. */
  etherType?: number;
  /** Append zeros up to this many bytes, as network cards do with short frames (60 without FCS). */
  padTo?: number;
}

export function ethernet(o: EthernetOptions = {}): Layer {
  return {
    protocol: 143, // RFC 8986: Ethernet
    encode(rest, { next }) {
      const tags = (o.vlans ?? []).map((vlan) => {
        const tag: VlanTag = typeof vlan === 'number' ? { id: vlan } : vlan;
        return fields([tag.tpid ?? 0x8100, 2], [(tag.priority ?? 0) * 0x2000 + tag.id, 2]);
      });
      const bytes = concat(
        macBytes(o.dst ?? NODE_MAC),
        macBytes(o.src ?? ROUTER_MAC),
        ...tags,
        fields([o.etherType ?? next?.etherType ?? 0xffff, 2]),
        rest,
      );
      return concat(bytes, new Uint8Array(Math.max(0, (o.padTo ?? 0) - bytes.length)));
    },
  };
}

/** A whole Ethernet frame (no FCS) around the layers. */
export function frame(o: EthernetOptions, ...layers: Layer[]): Uint8Array {
  return packet(ethernet(o), ...layers);
}

/** A whole Ethernet frame around an IP packet that is already bytes: a fragment, say. */
export function frameOf(o: EthernetOptions, ipPacket: Uint8Array): Uint8Array {
  const etherType = ipPacket[0] >> 4 === 6 ? 0x86dd : 0x0800;
  return frame({ etherType, ...o }, payload(ipPacket));
}

/** An ARP request (RFC 826): the usual frame on a link that is not IP. */
export function arpRequest(o: { src?: string; dst?: string; sender: string; target: string }): Uint8Array {
  const mac = o.src ?? ROUTER_MAC;
  const address = (text: string): Uint8Array => Uint8Array.from(text.split('.'), Number);
  const body = concat(
    fields([1, 2], [0x0800, 2], [6, 1], [4, 1], [1, 2]),
    macBytes(mac),
    address(o.sender),
    new Uint8Array(6),
    address(o.target),
  );
  return frame({ dst: o.dst ?? 'ff:ff:ff:ff:ff:ff', src: mac, etherType: 0x0806, padTo: 60 }, payload(body));
}
