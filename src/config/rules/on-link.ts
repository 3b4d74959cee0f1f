/**
 * A source prefix belongs to nobody: GRE leaves from each of its addresses. Where it overlaps a subnet of this host, some of them are the
 * router's or another machine's, or the subnet's broadcast address, and every flow that gets one of those dies.
 */
import { type IpPrefix, parseAddress, prefixesOverlap } from '../../packet/address.js';
import type { Draft } from '../draft.js';
import type { Report } from '../problems.js';
import type { Role } from '../types.js';
import { type HostInterfaces, hostOfNode } from './fleet.js';

/** @param host of the machine that the node is to run on; undefined when that is not asked */
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

/** The subnet of an address with its length; none for a single address. */
function subnetOf(cidr: string | null | undefined): IpPrefix[] {
  const [text = '', length] = cidr?.split('/') ?? [];
  const address = parseAddress(text);
  if (address?.family !== 4 || Number(length) >= 32) return [];
  return [{ address, length: Number(length), text: cidr! }];
}
