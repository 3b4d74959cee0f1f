/** From a next hop to the part of an image that depends on it. */
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import type { Way } from './assemble.js';

const NO_MAC = new Uint8Array(6);
const MTU_MAX = 65_535;

/**
 * The way that an image has for a backend.
 * @param nodeInterface index of the interface that the node's packets come in on
 * @param hop a backend without one is no eligible owner as long as any other is; where it is sent to all the same, its
 *   frames are for nobody, and no client is told of an MTU that nobody knows
 */
export function wayOf(hop: NextHop | NoNextHop, nodeInterface: number): Way {
  if (hop.reason !== undefined) {
    return { mtu: MTU_MAX, interfaceIndex: 0, sourceMac: NO_MAC, destinationMac: NO_MAC, vlan: undefined };
  }
  const { mtu, interfaceIndex, sourceMac, destinationMac, vlan } = hop;
  return {
    mtu,
    interfaceIndex: interfaceIndex === nodeInterface ? 0 : interfaceIndex,
    sourceMac,
    destinationMac,
    vlan,
  };
}
