/**
 * Where an XDP program can send. What leaves by another interface than it came in on is redirected, and the kernel drops
 * what is redirected to a device whose driver has no call for it (`ndo_xdp_xmit`), without a word to the program.
 */
import type { NextHop } from '../../underlay/next-hop.js';

/** Of the virtual devices those with that call, by their kind; `tun` is the kind of taps as well. Linux 6.18. */
const VIRTUAL = new Set(['bond', 'tun', 'veth']);

/** @param ownIndex the interface that the program is attached to: there, frames go back the way they came (XDP_TX) */
export function xdpReaches({ interfaceIndex, kind }: NextHop, ownIndex: number): boolean {
  return interfaceIndex === ownIndex || kind === undefined || VIRTUAL.has(kind);
}
