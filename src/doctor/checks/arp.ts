/** A backend must not tell its neighbours that it has the VIP: they would send to it past the forwarders. */
import type { Check } from '../check.js';
import { setSysctl } from '../mend.js';

export const SETTINGS = [
  {
    name: 'arp_ignore',
    good: 1,
    breaks:
      'This host answers ARP requests for the VIPs: a router or client on this segment that asks sends past the forwarders, all to this host.',
  },
  {
    name: 'arp_announce',
    good: 2,
    breaks:
      'ARP requests for an answer carry the VIP as their sender: neighbours learn that this host has it, and send past the forwarders.',
  },
] as const;

export const arp: Check = {
  name: 'arp',
  where: ['backend'],
  looks: 'arp_ignore and arp_announce keep this host from answering and asking by ARP in the name of a VIP.',
  run(facts) {
    if (!facts.vips().some(({ family }) => family === 4)) return [];
    return SETTINGS.filter(({ name }) => facts.interfaceSysctl(4, name) === 0).map(
      ({ name, good, breaks }) => ({
        level: 'warning',
        saw: `${name} is 0 (/proc/sys/net/ipv4/conf/, all and ${facts.place.interface})`,
        breaks,
        mend: setSysctl(`net/ipv4/conf/all/${name}`, good),
      }),
    );
  },
};
