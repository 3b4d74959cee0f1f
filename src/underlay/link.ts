/** The machine's network interfaces as iproute2 tells of them. */
import { AnyhopError } from '../core/errors.js';
import { type RunTool, requireTool, runTool } from '../core/tool.js';

export interface Link {
  readonly name: string;
  readonly index: number;
  /** At layer 3, in bytes. */
  readonly mtu: number;
  readonly isUp: boolean;
  /** `ether`, `loopback`, `none` (a tunnel) and so on. */
  readonly type: string;
  /** Six bytes; undefined when it is not Ethernet. */
  readonly mac: Uint8Array | undefined;
}

interface IpLink {
  ifname: string;
  ifindex: number;
  mtu: number;
  flags: string[];
  link_type: string;
  address?: string;
}

/** All interfaces by name. */
export async function readLinks(run: RunTool = runTool): Promise<Map<string, Link>> {
  const list: IpLink[] = JSON.parse(await requireTool(run, 'ip', ['-json', 'link', 'show']));
  return new Map(list.map((link) => [link.ifname, fromIp(link)]));
}

/**
 * The Ethernet interface of this name.
 * @throws AnyhopError ERR_INTERFACE when there is none, it is down, or it is not Ethernet
 */
export async function requireEthernetLink(
  name: string,
  run: RunTool = runTool,
): Promise<Link & { readonly mac: Uint8Array }> {
  const links = await readLinks(run);
  const link = links.get(name);
  if (link === undefined) {
    const others = [...links.values()].filter((each) => each.mac !== undefined).map((each) => each.name);
    throw new AnyhopError('ERR_INTERFACE', `there is no interface ${name}`, {
      hint:
        others.length > 0
          ? `Ethernet interfaces here: ${others.join(', ')}.`
          : 'There is no Ethernet interface here.',
    });
  }
  if (link.mac === undefined) {
    throw new AnyhopError('ERR_INTERFACE', `interface ${name} is not Ethernet but of type ${link.type}`, {
      hint: 'Name the Ethernet interface that packets for the VIPs come in by.',
    });
  }
  if (!link.isUp) {
    throw new AnyhopError('ERR_INTERFACE', `interface ${name} is down`, { hint: `ip link set ${name} up` });
  }
  return { ...link, mac: link.mac };
}

function fromIp(link: IpLink): Link {
  const isEthernet = link.link_type === 'ether' && link.address !== undefined;
  return {
    name: link.ifname,
    index: link.ifindex,
    mtu: link.mtu,
    isUp: link.flags.includes('UP'),
    type: link.link_type,
    mac: isEthernet
      ? Uint8Array.from(link.address!.split(':'), (byte) => Number.parseInt(byte, 16))
      : undefined,
  };
}
