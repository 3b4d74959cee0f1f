/** On a veth, what an XDP program sends arrives only while the far end has an XDP program too. */

import { readStatistics } from '../../underlay/driver-statistics.js';
import type { Check, Finding } from '../check.js';
import type { Facts } from '../facts.js';
import { sendingInterfaces } from '../sources.js';
import { findVethPeer } from '../veth-peer.js';

export const veth: Check = {
  name: 'veth-peer',
  where: ['forwarder', 'backend'],
  looks: 'Where XDP sends by a veth, its far end has an XDP program: without one, the frames vanish.',
  async run(facts) {
    if (!(await sends(facts))) return [];
    const links = await facts.links();
    const doors = await sendingInterfaces(facts);
    const found = await Promise.all(
      [...doors].filter((name) => links.get(name)?.kind === 'veth').map((name) => judge(name, facts)),
    );
    return found.flat();
  },
};

async function judge(name: string, { host }: Facts): Promise<Finding[]> {
  const peer = await findVethPeer(name, host.run);
  const refused = peer === undefined ? readStatistics(name).sendFailed : 0;
  if (peer === undefined ? !(refused > 0) : peer.hasProgram) return [];
  const breaks = 'Frames that an XDP program sends out of it vanish; GRO at the far end is not enough.';
  if (peer === undefined) {
    // The counter is as old as the interface, and the far end may have been mended since.
    return [
      {
        level: 'warning',
        saw: `the veth ${name} has refused ${refused} frames that XDP sent (ethtool -S ${name}: xdp_tx_errors)`,
        breaks,
        mend: 'if the figure rises, at the far end: anyhop pass --interface FAR_END',
      },
    ];
  }
  const inside = peer.namespace === undefined ? '' : ` in the network namespace ${peer.namespace}`;
  return [
    {
      level: 'error',
      saw: `${name} is a veth, and its far end ${peer.name}${inside} has no XDP program (ip link)`,
      breaks,
      mend: `${peer.namespace === undefined ? '' : `ip netns exec ${peer.namespace} `}anyhop pass --interface ${peer.name}`,
    },
  ];
}

/** An agent sends only for second chance. */
async function sends(facts: Facts): Promise<boolean> {
  if (!(await facts.usesXdp())) return false;
  return facts.place.where === 'forwarder' || facts.services.some(({ secondChance }) => secondChance);
}
