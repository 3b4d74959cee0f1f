/** Over a veth, a router is handed the hash of the sending socket, which the kernel draws anew after each timeout. */
import type { Check } from '../check.js';
import { setSysctl } from '../mend.js';

export const txrehash: Check = {
  name: 'txrehash',
  where: ['router'],
  looks:
    'Senders on this machine, in containers and labs, keep the hash of a connection by which its packets are spread.',
  async run(facts) {
    const veths = [...(await facts.links()).values()].filter(({ kind }) => kind === 'veth');
    if (veths.length === 0 || facts.sysctl('net/core/txrehash') !== 1) return [];
    return [
      {
        level: 'note',
        saw: `txrehash is 1, and ${veths[0].name} is a veth (/proc/sys/net/core/txrehash)`,
        breaks: 'After a lost packet, a connection of a sender on this machine goes to another forwarder.',
        mend: `here and in the network namespaces of the senders: ${setSysctl('net/core/txrehash', 0)}`,
      },
    ];
  },
};
