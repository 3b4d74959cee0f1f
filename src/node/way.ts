/** From a next hop to the part of an image that depends on it. */
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import type { Way } from './assemble.js';

/**
 * The way that an image has for a backend; undefined, which makes the backend count as down, without a next hop.
 * @param nodeInterface index of the interface that the node's packets come in on: frames that leave by it go straight back
 */
export function wayOf(hop: NextHop | NoNextHop | undefined, nodeInterface: number): Way | undefined {
  if (hop === undefined || hop.reason !== undefined) return undefined;
  const { mtu, interfaceIndex, sourceMac, destinationMac, vlan } = hop;
  return {
    mtu,
    interfaceIndex: interfaceIndex === nodeInterface ? 0 : interfaceIndex,
    sourceMac,
    destinationMac,
    vlan,
  };
}
