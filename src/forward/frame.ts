/** The frame around a packet for a VIP: for whom is it, and behind how many VLAN tags. */
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';
import type { PacketState } from './packet-state.js';

const L2_MAX = P.ETHERNET_HEADER + L.VLAN_TAGS_MAX * P.VLAN_TAG;

/** @returns a verdict, or -1 to go on */
export function judgeFrame(p: PacketState, view: DataView): number {
  const verdict = p.image.judgeMac(view, p.frame);
  const isDeep = p.l3 - p.frame > L2_MAX;
  return isDeep && verdict !== L.V_PASS_OTHER_HOST ? L.V_DROP_VLAN_TAGS : verdict;
}
