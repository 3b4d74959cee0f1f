/** Without SYN cookies, a flood of SYNs fills the queue of a listener. */
import type { Check } from '../check.js';
import { setSysctl } from '../mend.js';

export const syncookies: Check = {
  name: 'syncookies',
  where: ['backend'],
  looks: 'net.ipv4.tcp_syncookies is on, for IPv4 and IPv6.',
  run(facts) {
    const servesTcp = facts.services.some(({ protocol }) => protocol === 'tcp');
    if (!servesTcp || facts.sysctl('net/ipv4/tcp_syncookies') !== 0) return [];
    return [
      {
        level: 'warning',
        saw: 'tcp_syncookies is 0 (/proc/sys/net/ipv4/tcp_syncookies)',
        breaks: 'A flood of SYNs fills the queues of the listeners, and clients get no connection.',
        mend: setSysctl('net/ipv4/tcp_syncookies', 1),
      },
    ];
  },
};
