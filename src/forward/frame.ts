/** The frame around a packet for a VIP: for whom is it, and behind how many VLAN tags. */
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';
import type { PacketState } from './packet-state.js';

const L2_MAX = P.ETHERNET_HEADER + L.VLAN_TAGS_MAX * P.VLAN_TAG;

/** @returns a verdict, or -1 to go on */
export function judgeFrame(p: PacketState, view: DataView): number {
  const verdict = p.image.judgeMac(view, p.frame);
  if (verdict >= 0) return verdict;
  return p.l3 - p.frame > L2_MAX ? L.V_DROP_VLAN_TAGS : -1;
}
