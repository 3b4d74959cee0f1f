/**
 * The nftables table that keeps the host's own stack away from packets for the VIPs: an ingress hook that drops them
 * behind the packet sockets' tap and before routing. It is put in place in one transaction, which replaces what a
 * killed predecessor left; its comment holds what that one had switched off and the successor is to switch on again.
 *
 *   wire -> (GRO) -> packet sockets: libpcap -> ingress hook: VIPs dropped -> the host's IP stack
 *
 * The kernel takes one VLAN tag off before the hook, and afterwards as many priority tags (VLAN 0) as there are, so the hook looks
 * behind further tags itself (the chain `tagged`), as many as the pipeline does, and drops deeper stacks.
 *
 * Neighbour discovery for a VIP passes, as in the pipeline: the VIP may be an address of the host. Only a length beyond the frame is left to the
 * host to find.
 *
 * Two counters: packets that are the pipeline's business (`arrived`), and those in frames for other machines (`elsewhere`).
 */
import { L } from '../core/layout.gen.js';
import { type RunTool, requireTool, toolError } from '../core/tool.js';
import { runTool } from '../ffi/tool.js';
import type { IpAddress } from '../packet/address.js';
import { formatMac } from '../packet/mac.js';

/** Type and code of neighbour discovery (RFC 4861), for raw bytes. */
const NEIGHBOUR_DISCOVERY = '{ 0x8500, 0x8600, 0x8700, 0x8800, 0x8900 }';

/** What the table matches. */
export interface HostFilter {
  readonly vips: readonly IpAddress[];
  /** The host's addresses on the interface. */
  readonly macs: readonly Uint8Array[];
}

/** What the table has dropped since it was put in place, in packets for VIPs. */
export interface DroppedPackets {
  /** In frames for this machine, or for a group of machines. */
  readonly arrived: number;
  /** In frames for another machine. */
  readonly elsewhere: number;
}

/** The name of an interface's table: letters and digits as they are, other characters by their code. */
export function tableName(link: string): string {
  return `anyhop_${link.replace(/[^A-Za-z0-9]/g, (char) => `_${char.charCodeAt(0).toString(16)}`)}`;
}

/** Puts the table in place, or replaces it. `comment` is kept with it: printable ASCII, at most 127 characters. */
export async function installFilter(
  link: string,
  filter: HostFilter,
  comment: string,
  run: RunTool = runTool,
): Promise<void> {
  await requireTool(run, 'nft', ['-f', '-'], ruleset(link, filter, comment));
}

/** Puts others in the place of the VIPs and addresses in the table, in one transaction; its counters go on. */
export async function replaceElements(
  link: string,
  filter: HostFilter,
  run: RunTool = runTool,
): Promise<void> {
  const lines = setsOf(filter).map(({ name, elements }) => {
    const set = `netdev ${tableName(link)} ${name}`;
    const added = elements.length > 0 ? `add element ${set} { ${elements.join(', ')} }\n` : '';
    return `flush set ${set}\n${added}`;
  });
  await requireTool(run, 'nft', ['-f', '-'], lines.join(''));
}

/** Takes the table away; it may be gone already. */
export async function removeFilter(link: string, run: RunTool = runTool): Promise<void> {
  await requireTool(run, 'nft', ['-f', '-'], removal(link));
}

/** The comment of the table that is in place, or undefined when there is none. */
export async function readFilterComment(link: string, run: RunTool = runTool): Promise<string | undefined> {
  const args = ['list', 'table', 'netdev', tableName(link)];
  const { code, stdout, stderr } = await run('nft', args);
  // As text: nft 1.0.6 (Debian 12) leaves the comment out of its JSON.
  if (code === 0) return /^\tcomment "(.*)"$/m.exec(stdout)?.[1] ?? '';
  if (stderr.includes('No such file or directory')) return undefined;
  throw toolError('nft', args, stderr);
}

/** Undefined when the table is not there. */
export async function readDroppedPackets(
  link: string,
  run: RunTool = runTool,
): Promise<DroppedPackets | undefined> {
  const args = ['-j', 'list', 'counters', 'table', 'netdev', tableName(link)];
  const { code, stdout, stderr } = await run('nft', args);
  if (code !== 0 && stderr.includes('No such file or directory')) return undefined;
  if (code !== 0) throw toolError('nft', args, stderr);
  const listed = JSON.parse(stdout);
  const parts: { counter?: { name: string; packets: number } }[] = listed.nftables;
  const packetsOf = (name: string): number =>
    parts.find(({ counter }) => counter?.name === name)?.counter?.packets ?? 0;
  return { arrived: packetsOf('arrived'), elsewhere: packetsOf('elsewhere') };
}

function ruleset(link: string, filter: HostFilter, comment: string): string {
  const sets = setsOf(filter).map(({ name, type, elements }) => {
    const filled = elements.length > 0 ? `elements = { ${elements.join(', ')} }` : '';
    return `  set ${name} { ${type}; ${filled} }`;
  });
  return `${removal(link)}
table netdev ${tableName(link)} {
  comment "${comment}"
  counter arrived { }
  counter elsewhere { }
${sets.join('\n')}
  chain vip {
    meta protocol ip6 ip6 length >= 8 ip6 nexthdr icmpv6 ip6 hoplimit 255 icmpv6 type 133-137 icmpv6 code 0 ether daddr @macs accept
    ether daddr @macs counter name arrived drop
    meta pkttype { broadcast, multicast } counter name arrived drop
    counter name elsewhere drop
  }
  chain deep {
    ether daddr @macs counter name arrived drop
    meta pkttype { broadcast, multicast } counter name arrived drop
  }
  chain tagged {
${behindTags().join('\n')}
  }
  chain ingress {
    type filter hook ingress device "${link}" priority -500; policy accept;
    ip daddr @vips4 goto vip
    ip6 daddr @vips6 goto vip
    meta protocol { 0x8100, 0x88a8 } goto tagged
  }
}
`;
}

/** Of a frame whose first tag the kernel has taken off: what is left begins with the inside of the second, at the place of the network header. */
function behindTags(): string[] {
  const rules: string[] = [];
  for (let tags = 2; tags <= L.VLAN_TAGS_READ; tags++) {
    const type = (tags - 2) * 32 + 16;
    const ip = type + 16;
    if (tags <= L.VLAN_TAGS_MAX) {
      // Length, next header and hop limit, as `vip` has them.
      const header = `@nh,${type},16 0x86dd @nh,${ip + 32},16 >= 8 @nh,${ip + 48},16 0x3aff`;
      rules.push(`    ${header} @nh,${ip + 320},16 ${NEIGHBOUR_DISCOVERY} ether daddr @macs accept`);
    }
    rules.push(
      `    @nh,${type},16 0x0800 @nh,${ip + 128},32 @tagged4 goto vip`,
      `    @nh,${type},16 0x86dd @nh,${ip + 192},128 @tagged6 goto vip`,
      `    @nh,${type},16 != { 0x8100, 0x88a8 } accept`,
    );
  }
  return [...rules, '    goto deep'];
}

/** `tagged4` and `tagged6` hold the VIPs once more: nft compares raw bytes only with integers. */
function setsOf({ vips, macs }: HostFilter): { name: string; type: string; elements: string[] }[] {
  const of = (family: 4 | 6): IpAddress[] => vips.filter((vip) => vip.family === family);
  const asInteger = ({ bytes }: IpAddress): string => `0x${Buffer.from(bytes).toString('hex')}`;
  const textOf = ({ text }: IpAddress): string => text;
  return [
    { name: 'vips4', type: 'type ipv4_addr', elements: of(4).map(textOf) },
    { name: 'vips6', type: 'type ipv6_addr', elements: of(6).map(textOf) },
    { name: 'tagged4', type: 'typeof @nh,160,32', elements: of(4).map(asInteger) },
    { name: 'tagged6', type: 'typeof @nh,160,128', elements: of(6).map(asInteger) },
    { name: 'macs', type: 'type ether_addr', elements: macs.map(formatMac) },
  ];
}

/** Adding first makes sure that there is something to delete. */
function removal(link: string): string {
  return `add table netdev ${tableName(link)}\ndelete table netdev ${tableName(link)}\n`;
}
