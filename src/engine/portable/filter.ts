/**
 * The nftables table that keeps the host's own stack away from packets for the VIPs: an ingress hook that drops them
 * behind the packet sockets' tap and before routing. It is put in place in one transaction, which replaces what a
 * killed predecessor left; its comment holds what that one had switched off and the successor is to switch on again.
 *
 *   wire -> (GRO) -> packet sockets: libpcap -> ingress hook: VIPs dropped -> the host's IP stack
 *
 * The kernel takes one VLAN tag off before the hook, so tagged packets are matched as well; behind two tags they are
 * not, and a host that both has such interfaces and forwards would handle these twice.
 */
import { type RunTool, requireTool, runTool, toolError } from '../../core/tool.js';
import type { IpAddress } from '../../packet/address.js';

/** The name of an interface's table: letters and digits as they are, other characters by their code. */
export function tableName(link: string): string {
  return `anyhop_${link.replace(/[^A-Za-z0-9]/g, (char) => `_${char.charCodeAt(0).toString(16)}`)}`;
}

/** Puts the table in place, or replaces it. `comment` is kept with it: printable ASCII, at most 127 characters. */
export async function installFilter(
  link: string,
  vips: readonly IpAddress[],
  comment: string,
  run: RunTool,
): Promise<void> {
  await requireTool(run, 'nft', ['-f', '-'], ruleset(link, vips, comment));
}

/** Puts other VIPs in the place of those in the table, in one transaction; its counters go on. */
export async function replaceVips(link: string, vips: readonly IpAddress[], run: RunTool): Promise<void> {
  const lines = ([4, 6] as const).map((family) => {
    const name = `netdev ${tableName(link)} vips${family}`;
    const elements = textsOf(vips, family);
    const added = elements.length > 0 ? `add element ${name} { ${elements.join(', ')} }\n` : '';
    return `flush set ${name}\n${added}`;
  });
  await requireTool(run, 'nft', ['-f', '-'], lines.join(''));
}

/** Takes the table away; it may be gone already. */
export async function removeFilter(link: string, run: RunTool): Promise<void> {
  await requireTool(run, 'nft', ['-f', '-'], removal(link));
}

/** The comment of the table that is in place, or undefined when there is none. */
export async function readFilterComment(link: string, run: RunTool): Promise<string | undefined> {
  const args = ['list', 'table', 'netdev', tableName(link)];
  const { code, stdout, stderr } = await run('nft', args);
  // As text: nft 1.0.6 (Debian 12) leaves the comment out of its JSON.
  if (code === 0) return /^\tcomment "(.*)"$/m.exec(stdout)?.[1] ?? '';
  if (stderr.includes('No such file or directory')) return undefined;
  throw toolError('nft', args, stderr);
}

/** Packets for the VIPs, in frames for this machine, that came in since the table was put in place. */
export async function readDroppedPackets(link: string, run: RunTool = runTool): Promise<number> {
  const listed = JSON.parse(
    await requireTool(run, 'nft', ['-j', 'list', 'table', 'netdev', tableName(link)]),
  );
  const parts: { rule?: { expr: { counter?: { packets: number } }[] } }[] = listed.nftables;
  return parts
    .flatMap(({ rule }) => rule?.expr ?? [])
    .reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
}

function ruleset(link: string, vips: readonly IpAddress[], comment: string): string {
  const set = (family: 4 | 6): string => {
    const elements = textsOf(vips, family);
    return elements.length > 0 ? `elements = { ${elements.join(', ')} }` : '';
  };
  return `${removal(link)}
table netdev ${tableName(link)} {
  comment "${comment}"
  set vips4 { type ipv4_addr; ${set(4)} }
  set vips6 { type ipv6_addr; ${set(6)} }
  chain ingress {
    type filter hook ingress device "${link}" priority -500; policy accept;
    meta pkttype host ip daddr @vips4 counter drop
    meta pkttype host ip6 daddr @vips6 counter drop
    ip daddr @vips4 drop
    ip6 daddr @vips6 drop
  }
}
`;
}

function textsOf(vips: readonly IpAddress[], family: 4 | 6): string[] {
  return vips.filter((vip) => vip.family === family).map((vip) => vip.text);
}

/** Adding first makes sure that there is something to delete. */
function removal(link: string): string {
  return `add table netdev ${tableName(link)}\ndelete table netdev ${tableName(link)}\n`;
}
