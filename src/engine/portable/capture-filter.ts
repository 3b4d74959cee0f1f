/**
 * What libpcap is asked to capture: packets for the VIPs, so that the rest costs nothing.
 *
 * By the node's MAC addresses and not by `inbound`: libpcap applies a new filter to the first packet by itself, where it
 * cannot see directions, and so lost that packet each time a capture was opened.
 */
import type { IpAddress } from '../../packet/address.js';
import { formatMac } from '../../packet/mac.js';

/** Above this many the filter would take longer than the pipeline, which sorts packets out by itself. */
const VIPS_IN_FILTER_MAX = 32;

/**
 * A filter in libpcap's language (pcap-filter(7)). Tagged frames are all let through: behind a tag the language looks
 * elsewhere, and where it finds the tag depends on the driver.
 *
 * Frames for groups of machines are let through too: the pipeline counts what it drops.
 *
 * @param macs the host's addresses on the interface, six bytes each
 */
export function captureFilter(macs: readonly Uint8Array[], vips: readonly IpAddress[]): string {
  const wanted =
    vips.length > VIPS_IN_FILTER_MAX ? 'ip or ip6' : vips.map((vip) => `dst host ${vip.text}`).join(' or ');
  const ours = macs.map((mac) => `ether dst ${formatMac(mac)}`);
  return `(${[...ours, 'ether multicast'].join(' or ')}) and (${wanted} or vlan)`;
}
