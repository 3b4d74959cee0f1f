/** The machine's network interfaces, as iproute2 lists them. */
import { AnyhopError } from '../core/errors.js';
import { type RunTool, requireTool } from '../core/tool.js';
import { runTool } from '../ffi/tool.js';
import { parseMac } from '../packet/mac.js';

export interface Link {
  readonly name: string;
  readonly index: number;
  /** At layer 3, in bytes. */
  readonly mtu: number;
  readonly isUp: boolean;
  /** Whether the device sees the other end. */
  readonly hasCarrier: boolean;
  /** `ether`, `loopback`, `none` (a tunnel) and so on. */
  readonly type: string;
  /** Six bytes; undefined when it is not Ethernet. */
  readonly mac: Uint8Array | undefined;
  /** What a virtual device is: `bridge`, `bond`, `vlan`, `veth`, `gre` and so on; undefined for a network card. */
  readonly kind: string | undefined;
  /** Name of the device below a VLAN device, a macvlan and so on; of a veth, the other end. */
  readonly below?: string | undefined;
  /** Name of the bridge, bond and so on that it is a port of. */
  readonly master?: string | undefined;
  /** Of a VLAN device. */
  readonly vlan: VlanTag | undefined;
}

export interface VlanTag {
  /** The device that carries the tagged frames; undefined when that is in another network namespace. */
  readonly parent: string | undefined;
  /** `802.1Q` or `802.1ad`. */
  readonly protocol: string;
  /** 0 to 4095. */
  readonly id: number;
}

interface IpLink {
  ifname: string;
  ifindex: number;
  mtu: number;
  flags: string[];
  link_type: string;
  address?: string;
  /** Name of the device below. */
  link?: string;
  master?: string;
  linkinfo?: { info_kind?: string; info_data?: { protocol?: string; id?: number } };
}

/** All interfaces by name. */
export async function readLinks(run: RunTool = runTool): Promise<Map<string, Link>> {
  const list: IpLink[] = JSON.parse(await requireTool(run, 'ip', ['-json', '-details', 'link', 'show']));
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
    hasCarrier: link.flags.includes('LOWER_UP'),
    type: link.link_type,
    mac: isEthernet ? parseMac(link.address!) : undefined,
    kind: link.linkinfo?.info_kind,
    below: link.link,
    master: link.master,
    vlan: vlanOf(link),
  };
}

function vlanOf({ link, linkinfo }: IpLink): VlanTag | undefined {
  if (linkinfo?.info_kind !== 'vlan') return undefined;
  const { protocol = '802.1Q', id = 0 } = linkinfo.info_data ?? {};
  return { parent: link, protocol, id };
}
