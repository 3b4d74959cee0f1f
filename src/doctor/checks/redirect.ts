/** A packet that leaves by another card than it came in by is redirected, which many cards take only while they have an XDP program. */

import type { Check } from '../check.js';
import { sendingInterfaces } from '../sources.js';

export const redirect: Check = {
  name: 'redirect',
  where: ['forwarder'],
  looks:
    'With the engine xdp, other cards that packets leave by have an XDP program themselves, so that they take redirected frames.',
  async run(facts) {
    const { interface: on } = facts.place;
    const links = await facts.links();
    const others = [...(await sendingInterfaces(facts))].flatMap((name) => {
      const link = links.get(name);
      const isCard = link !== undefined && link.kind === undefined && name !== on;
      return isCard && facts.host.attachedXdp(link.index) === undefined ? [name] : [];
    });
    return others.map((name) => ({
      level: 'warning' as const,
      saw: `packets that come in by ${on} leave by ${name}, which has no XDP program (ip route, ip link show dev ${name})`,
      breaks:
        'Many drivers take redirected frames only while their card has a program itself: the kernel drops what the others refuse, and only the tracepoint xdp:xdp_redirect_err tells.',
      mend: `anyhop pass --interface ${name}`,
    }));
  },
};
