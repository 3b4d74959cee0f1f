/**
 * Where an XDP program can send. A packet that leaves by another interface than it came in on is redirected, and the
 * kernel drops what is redirected to a device whose driver has no call for it (`ndo_xdp_xmit`); the program never hears
 * of that.
 */
import type { Link } from '../../underlay/link.js';
import type { NextHop } from '../../underlay/next-hop.js';

/** The kinds of virtual devices with that call; `tun` includes taps. Linux 6.18. */
const VIRTUAL = new Set(['bond', 'tun', 'veth']);

/** @param on the interface of the program: out of it, frames go back the way they came (XDP_TX) */
export function xdpUnreachable(
  { interface: name, interfaceIndex, kind }: Pick<NextHop, 'interface' | 'interfaceIndex' | 'kind'>,
  on: Pick<Link, 'index'>,
): string | undefined {
  if (interfaceIndex === on.index || kind === undefined || VIRTUAL.has(kind)) return undefined;
  return `its next hop is on ${name}, and xdp cannot send out of a ${kind}`;
}
