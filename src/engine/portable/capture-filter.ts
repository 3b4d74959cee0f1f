/** What libpcap is asked to capture: packets for the VIPs, so that the rest costs nothing. */
import type { IpAddress } from '../../packet/address.js';

/** Above this many the filter would take longer than the pipeline, which sorts packets out by itself. */
const VIPS_IN_FILTER_MAX = 32;

/**
 * A filter in libpcap's language (pcap-filter(7)), for frames that are addressed to `mac`. Tagged frames are all let
 * through: behind a tag the language looks elsewhere, and where it finds the tag depends on the driver.
 *
 * Why not `inbound`: libpcap runs the filter itself over what may have come in while it was being set, one packet at
 * least, and there `inbound` is never true: the first packet after each start would be lost.
 */
export function captureFilter(vips: readonly IpAddress[], mac: Uint8Array): string {
  const own = `ether dst ${Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
  if (vips.length > VIPS_IN_FILTER_MAX) return `${own} and (ip or ip6 or vlan)`;
  return `${own} and (${vips.map((vip) => `dst host ${vip.text}`).join(' or ')} or vlan)`;
}
