/** A full table of connections drops new ones, and the host says so in the kernel's log only. */
import type { Check } from '../check.js';
import { setSysctl } from '../mend.js';

const SHARE_MAX = 0.9;

export const conntrack: Check = {
  name: 'conntrack',
  where: ['backend'],
  looks: "The kernel's table of tracked connections has room.",
  run(facts) {
    const [count, most] = ['count', 'max'].map((name) => facts.sysctl(`net/netfilter/nf_conntrack_${name}`));
    if (count === undefined || most === undefined || most === 0 || count < most * SHARE_MAX) return [];
    return [
      {
        level: count >= most ? 'error' : 'warning',
        saw: `${count} of ${most} tracked connections (/proc/sys/net/netfilter/nf_conntrack_count and _max)`,
        breaks: 'When the table is full, the kernel drops the first packet of every new connection.',
        mend: setSysctl('net/netfilter/nf_conntrack_max', 2 * most),
      },
    ];
  },
};
