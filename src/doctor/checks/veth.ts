/** On a veth, what an XDP program sends arrives only while the far end has an XDP program too. */

import { requireTool } from '../../core/tool.js';
import { readStatistics } from '../../underlay/driver-statistics.js';
import type { Check } from '../check.js';
import type { Facts } from '../facts.js';

export const veth: Check = {
  name: 'veth-peer',
  where: ['forwarder', 'backend'],
  looks:
    'Where the interface is a veth, its far end has an XDP program, so that frames that XDP sends arrive.',
  async run(facts) {
    const { name, kind } = await facts.link();
    if (kind !== 'veth' || !(await sends(facts))) return [];
    const peer = await findPeer(facts);
    const isProven = peer === undefined && readStatistics(name).sendFailed > 0;
    if (!isProven && (peer === undefined || peer.hasProgram)) return [];
    const where =
      peer === undefined ? 'its far end' : `${peer.name} in the network namespace ${peer.namespace}`;
    return [
      {
        level: 'error',
        saw: isProven
          ? `the driver of the veth ${name} refused frames that XDP sent (ethtool -S ${name}: xdp_tx_errors)`
          : `${name} is a veth, and ${where} has no XDP program (ip link)`,
        breaks: 'Frames that an XDP program sends out of it vanish; GRO at the far end is not enough.',
        mend: `${peer === undefined ? '' : `ip netns exec ${peer.namespace} `}anyhop pass --interface ${peer?.name ?? 'FAR_END'}`,
      },
    ];
  },
};

/** An agent sends only for second chance. */
async function sends(facts: Facts): Promise<boolean> {
  if (!(await facts.usesXdp())) return false;
  return facts.place.where === 'forwarder' || facts.services.some(({ secondChance }) => secondChance);
}

interface Peer {
  readonly name: string;
  readonly namespace: string;
  readonly hasProgram: boolean;
}

interface ShownLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly link_index?: number;
  readonly link_netnsid?: number;
  readonly xdp?: unknown;
}

/** Of a namespace with a name; undefined when it has none, or this user may not look into it. */
async function findPeer({ host, place }: Facts): Promise<Peer | undefined> {
  const show = ['-json', '-details', 'link', 'show'];
  const [own]: ShownLink[] = JSON.parse(await requireTool(host.run, 'ip', [...show, 'dev', place.interface]));
  const { link_index: index, link_netnsid: nsid } = own;
  if (index === undefined) return undefined;
  const named: { nsid: number; name?: string }[] =
    nsid === undefined
      ? []
      : JSON.parse((await requireTool(host.run, 'ip', ['-json', 'netns', 'list-id'])) || '[]');
  const namespace = named.find((each) => each.nsid === nsid)?.name;
  if (nsid !== undefined && namespace === undefined) return undefined;
  const { code, stdout } = await host.run('ip', [
    ...(namespace === undefined ? [] : ['-n', namespace]),
    ...show,
  ]);
  if (code !== 0) return undefined;
  const peer = (JSON.parse(stdout) as ShownLink[]).find(({ ifindex }) => ifindex === index);
  if (peer === undefined) return undefined;
  return { name: peer.ifname, namespace: namespace ?? 'of this host', hasProgram: peer.xdp !== undefined };
}
