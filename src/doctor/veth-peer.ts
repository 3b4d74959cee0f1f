/** The far end of a veth: which interface it is, and whether it has an XDP program. */
import { type RunTool, requireTool } from '../core/tool.js';

export interface VethPeer {
  readonly name: string;
  /** Undefined: that of this process. */
  readonly namespace: string | undefined;
  readonly hasProgram: boolean;
}

interface ShownLink {
  readonly ifindex: number;
  readonly ifname: string;
  /** Name of the far end, in the same network namespace. */
  readonly link?: string;
  /** Its index, in another one. */
  readonly link_index?: number;
  readonly link_netnsid?: number;
  readonly xdp?: unknown;
}

/**
 * The far end of a veth, in this network namespace or in one that has a name (`ip netns`); undefined in another one, or when this user may
 * not look into it.
 * @throws AnyhopError ERR_TOOL when `ip` cannot be asked
 */
export async function findVethPeer(name: string, run: RunTool): Promise<VethPeer | undefined> {
  const show = ['-json', '-details', 'link', 'show'];
  const [own]: ShownLink[] = JSON.parse(await requireTool(run, 'ip', [...show, 'dev', name]));
  const { link, link_index: index, link_netnsid: nsid } = own;
  if (link === undefined && index === undefined) return undefined;
  const named: { nsid: number; name?: string }[] =
    nsid === undefined
      ? []
      : JSON.parse((await requireTool(run, 'ip', ['-json', 'netns', 'list-id'])) || '[]');
  const namespace = named.find((each) => each.nsid === nsid)?.name;
  if (nsid !== undefined && namespace === undefined) return undefined;
  const { code, stdout } = await run('ip', [...(namespace === undefined ? [] : ['-n', namespace]), ...show]);
  if (code !== 0) return undefined;
  const peer = (JSON.parse(stdout) as ShownLink[]).find(({ ifindex, ifname }) =>
    link === undefined ? ifindex === index : ifname === link,
  );
  if (peer === undefined) return undefined;
  return { name: peer.ifname, namespace, hasProgram: peer.xdp !== undefined };
}
