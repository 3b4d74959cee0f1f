/** What libpcap is asked to capture: packets for the VIPs, so that the rest costs nothing. */
import type { IpAddress } from '../../packet/address.js';

/** Above this many the filter would take longer than the pipeline, which sorts packets out by itself. */
const VIPS_IN_FILTER_MAX = 32;

/**
 * A filter in libpcap's language (pcap-filter(7)). Tagged frames are all let through: behind a tag the language looks
 * elsewhere, and where it finds the tag depends on the driver.
 */
export function captureFilter(vips: readonly IpAddress[]): string {
  if (vips.length > VIPS_IN_FILTER_MAX) return 'inbound and (ip or ip6 or vlan)';
  return `inbound and (${vips.map((vip) => `dst host ${vip.text}`).join(' or ')} or vlan)`;
}
