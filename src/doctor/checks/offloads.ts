/** Offloads of the card that do not go with an engine: those that merge packets, and those that hide VLAN tags. */

import { unfitOffloads } from '../../engine/portable/offload.js';
import type { Check, Finding } from '../check.js';
import { readFeatures } from '../ethtool.js';
import type { Facts } from '../facts.js';

const MERGING = [
  { feature: 'large-receive-offload', option: 'lro', byItself: false },
  // Drivers switch it off themselves for XDP, where they can.
  { feature: 'rx-gro-hw', option: 'rx-gro-hw', byItself: true },
] as const;

export const offloads: Check = {
  name: 'offloads',
  where: ['forwarder', 'backend'],
  looks:
    'The card does not merge packets where XDP or libpcap reads them, and does not strip VLAN tags where XDP must see them.',
  async run(facts) {
    const { interface: name } = facts.place;
    await facts.link();
    const isXdp = await facts.usesXdp();
    if (!isXdp) return facts.place.where === 'forwarder' ? ofPortable(facts) : [];
    const features = await readFeatures(facts.host, name);
    // What is attached in the driver was not refused.
    const isTaken = (await facts.attached())?.mode === 'native';
    const findings = MERGING.filter(({ feature, byItself }) => {
      const { isOn = false, isFixed = false } = features.get(feature) ?? {};
      return isOn && !isTaken && (isFixed || !byItself);
    }).map(
      ({ feature, option }): Finding => ({
        level: 'warning',
        saw: `${feature} is on (ethtool -k ${name})`,
        breaks:
          'A driver that merges packets refuses XDP. Programs then run before the stack: each packet costs two to four times as much.',
        mend: features.get(feature)?.isFixed
          ? `it is fixed here: at the hypervisor, switch the offloads off that it does for this card (QEMU: guest_tso4=off,guest_tso6=off)`
          : `ethtool -K ${name} ${option} off`,
      }),
    );
    return [...findings, ...(await stripped(facts, features.get('rx-vlan-offload')?.isOn === true))];
  },
};

/** The engine switches them off at its start, and does not look again. */
async function ofPortable(facts: Facts): Promise<Finding[]> {
  if ((await facts.status()) === undefined) return [];
  const { interface: name } = facts.place;
  const on = await unfitOffloads(name, facts.host.run);
  if (on.length === 0) return [];
  return [
    {
      level: 'error',
      saw: `${on.join(', ')} on ${name} is on again (ethtool -k ${name})`,
      breaks: 'libpcap sees packets longer than the MTU, which no backend can be sent, and loses bursts.',
      mend: `ethtool -K ${name} ${on.map((each) => `${each} off`).join(' ')}`,
    },
  ];
}

async function stripped(facts: Facts, strips: boolean): Promise<Finding[]> {
  const { interface: name } = facts.place;
  if (!strips) return [];
  const vlans = [...(await facts.links()).values()].filter(({ vlan }) => vlan?.parent === name);
  if (vlans.length === 0) return [];
  return [
    {
      level: 'warning',
      saw: `rx-vlan-offload is on, and ${vlans.map((vlan) => vlan.name).join(', ')} has its tags on ${name} (ethtool -k ${name})`,
      breaks:
        'XDP does not see the tags: packets of all VLANs look alike to it, and the answers of the node carry none.',
      mend: `ethtool -K ${name} rxvlan off`,
    },
  ];
}
