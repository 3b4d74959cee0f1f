/** Settings of the kernel for SYN cookies: its own, without which a flood fills the queue of a listener, and those of forwarders. */
import type { Check, Finding } from '../check.js';
import { servicesWithCookies } from '../cookie-services.js';
import { setSysctl } from '../mend.js';

/** A cookie of a forwarder promises these to clients. */
const PROMISED = ['tcp_timestamps', 'tcp_sack', 'tcp_window_scaling'] as const;

export const syncookies: Check = {
  name: 'syncookies',
  where: ['backend'],
  looks:
    'net.ipv4.tcp_syncookies is on, for IPv4 and IPv6; with syn_cookies of the config, also timestamps, SACK and window scaling.',
  run(facts) {
    const servesTcp = facts.services.some(({ protocol }) => protocol === 'tcp');
    if (!servesTcp) return [];
    const ofFleet = servicesWithCookies(facts).length > 0;
    const missing = ofFleet ? PROMISED.filter((name) => facts.sysctl(`net/ipv4/${name}`) === 0) : [];
    const own: Finding[] =
      facts.sysctl('net/ipv4/tcp_syncookies') === 0
        ? [
            {
              level: 'warning',
              saw: 'tcp_syncookies is 0 (/proc/sys/net/ipv4/tcp_syncookies)',
              breaks: `A flood of SYNs fills the queues of the listeners, and clients get no connection.${ofFleet ? ' The kernel takes no cookies of forwarders either.' : ''}`,
              mend: setSysctl('net/ipv4/tcp_syncookies', 1),
            },
          ]
        : [];
    return [
      ...own,
      ...missing.map(
        (name): Finding => ({
          level: 'warning',
          saw: `${name} is 0 (/proc/sys/net/ipv4/${name})`,
          breaks:
            'The kernel takes no SYN cookies of forwarders: in a flood, SYNs to this backend pass under a cap.',
          mend: setSysctl(`net/ipv4/${name}`, 1),
        }),
      ),
    ];
  },
};
