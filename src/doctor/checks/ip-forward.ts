/** A forwarder that is a router too sends packets for a VIP back to where they come from whenever no engine takes them. */
import type { Check, Finding } from '../check.js';
import { setSysctl } from '../mend.js';

const SETTINGS = [
  { family: 4, path: 'net/ipv4/ip_forward' },
  { family: 6, path: 'net/ipv6/conf/all/forwarding' },
] as const;

export const ipForward: Check = {
  name: 'ip-forward',
  where: ['forwarder'],
  looks:
    'This host does not route packets itself: those for a VIP would go round while no engine takes them.',
  run(facts) {
    const families = new Set(facts.vips(facts.place.config.services).map(({ family }) => family));
    return SETTINGS.filter(({ family, path }) => families.has(family) && facts.sysctl(path) === 1).map(
      ({ path }): Finding => ({
        level: 'note',
        saw: `${path.replaceAll('/', '.')} is 1 (/proc/sys/${path})`,
        breaks:
          'While no node runs here, this host sends packets for the VIPs back to the router, round and round.',
        mend: `if this host routes nothing else: ${setSysctl(path, 0)}`,
      }),
    );
  },
};
