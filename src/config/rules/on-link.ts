/**
 * No machine may use an address of a source prefix, since GRE leaves from each of them. Where the prefix overlaps a subnet of
 * this host, some addresses are the router's, another machine's, or the subnet's broadcast address, and flows with these sources
 * die.
 */
import { type IpPrefix, parseAddress, prefixesOverlap } from '../../packet/address.js';
import type { Draft } from '../draft.js';
import type { Report } from '../problems.js';
import type { Role } from '../types.js';
import { type HostInterfaces, hostOfNode } from './fleet.js';

/** @param host interfaces of the node's machine; undefined to skip the check */
export function checkSourcePrefix(
  draft: Draft,
  role: Role,
  host: HostInterfaces | undefined,
  report: Report,
): void {
  const subnets = Object.entries(hostOfNode(draft, role, host) ?? {}).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ cidr }) => subnetOf(cidr).map((subnet) => ({ name, subnet }))),
  );
  for (const { at, value: prefix } of draft.node?.sources ?? []) {
    if (prefix.address.family !== 4 || prefix.length === 32) continue;
    const found = subnets.find(({ subnet }) => prefixesOverlap(prefix, subnet));
    if (found === undefined) continue;
    report(
      at,
      `found the prefix ${prefix.text}, which overlaps the subnet of ${found.subnet.text} on ${found.name}; expected a prefix that ` +
        'belongs to nobody and is routed to this host, or one address',
    );
  }
}

/** The subnet of an address with a prefix length; none for a single address. */
function subnetOf(cidr: string | null | undefined): IpPrefix[] {
  const [text = '', length] = cidr?.split('/') ?? [];
  const address = parseAddress(text);
  if (address?.family !== 4 || Number(length) >= 32) return [];
  return [{ address, length: Number(length), text: cidr! }];
}
