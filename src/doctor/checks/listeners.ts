/** A backend without a server: the agent delivers, and the kernel resets the connection. */

import type { ServiceConfig } from '../../config/types.js';
import { requireTool } from '../../core/tool.js';
import type { Check } from '../check.js';
import type { Facts } from '../facts.js';
import { translates } from '../nft.js';

export const listeners: Check = {
  name: 'listeners',
  where: ['backend'],
  looks: 'A socket of this host listens for each service: on the VIP, or on all addresses.',
  async run(facts) {
    if (facts.place.config.agent?.vipElsewhere) return [];
    const [tcp, udp] = await Promise.all([sockets(facts, 'tcp'), sockets(facts, 'udp')]);
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

interface Socket {
  /** `*`: all addresses of both families; `0.0.0.0`, `::`: all of one. */
  readonly address: string;
  readonly port: number;
  /** The only interface that it takes packets from; undefined: all. */
  readonly device: string | undefined;
}

async function sockets({ host }: Facts, protocol: 'tcp' | 'udp'): Promise<Socket[]> {
  const text = await requireTool(host.run, 'ss', ['-H', '-l', '-n', protocol === 'tcp' ? '-t' : '-u']);
  return text.split('\n').flatMap((line) => {
    const local = line.trim().split(/\s+/)[3];
    const [, address, device, port] = /^\[?([^\]%]*?)\]?(?:%(.+?))?\]?:(\d+)$/.exec(local ?? '') ?? [];
    return address === undefined ? [] : [{ address, port: Number(port), device }];
  });
}

function serves(
  { address, port, device }: Socket,
  { vip, portFirst, portLast }: ServiceConfig,
  { place }: Facts,
): boolean {
  if (port < portFirst || port > portLast) return false;
  if (device !== undefined && device !== place.interface) return false;
  return address === '*' || address === vip.text || address === (vip.family === 4 ? '0.0.0.0' : '::');
}
