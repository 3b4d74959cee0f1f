/** A backend without a server: the agent delivers, and the kernel resets the connection. */

import type { Check } from '../check.js';
import { translates } from '../nft.js';
import { listening, serves } from '../sockets.js';

export const listeners: Check = {
  name: 'listeners',
  where: ['backend'],
  looks: 'A socket of this host listens for each service: on the VIP, or on all addresses.',
  async run(facts) {
    if (facts.place.config.agent?.vipElsewhere) return [];
    const [tcp, udp] = await Promise.all([listening(facts, 'tcp'), listening(facts, 'udp')]);
    const mayBeElsewhere = await facts.ruleset().then(translates, () => false);
    return facts.services
      .filter(
        (service) =>
          !(service.protocol === 'tcp' ? tcp : udp).some((socket) => serves(socket, service, facts)),
      )
      .map(({ name, vip, protocol, portFirst, portLast }) => {
        const port = portFirst === portLast ? `${portFirst}` : `${portFirst}-${portLast}`;
        const where = `${vip.family === 6 ? `[${vip.text}]` : vip.text}:${portFirst}`;
        return {
          level: mayBeElsewhere ? 'note' : 'error',
          saw: `no socket listens on ${protocol} port ${port} of ${vip.text}, for the service ${name} (ss -ln)${mayBeElsewhere ? ', and nftables has rules that translate addresses' : ''}`,
          breaks:
            protocol === 'tcp'
              ? 'This host resets each connection that a forwarder sends here.'
              : 'This host answers each datagram with "port unreachable".',
          mend: `start the server, with an address that covers the VIP: listen ${where}, or all addresses`,
        };
      });
  },
};
