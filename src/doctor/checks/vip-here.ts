/** A backend whose host does not have the VIP drops what it unwraps: the most frequent mistake of all. */
import type { Check } from '../check.js';
import type { Facts } from '../facts.js';
import { setSysctl } from '../mend.js';
import { SETTINGS as ARP } from './arp.js';

export const vipHere: Check = {
  name: 'vip-here',
  where: ['backend'],
  looks: 'Each VIP of the services of this host is an address of it, or a local route makes it one.',
  async run(facts) {
    if (facts.place.config.agent?.vipElsewhere) return [];
    const vips = facts.vips();
    const here = await facts.host.localAmong(vips);
    const hasAgent = facts.place.targets.some(({ agent }) => agent);
    return vips
      .filter(({ text }) => !here.has(text))
      .map(({ text, family }) => ({
        level: 'error',
        saw: `the VIP ${text} is no address of this host (ip route get ${text})`,
        breaks: hasAgent
          ? 'The agent drops all packets for it, as drop_vip_not_local.'
          : 'This host forwards or drops what comes out of the tunnel for it.',
        mend: `${family === 4 ? quietArp(facts) : ''}ip addr add ${text}/${family === 4 ? 32 : 128} dev lo${family === 4 ? '' : ' nodad'}`,
      }));
  },
};

/** First of all: a host that has the VIP and answers ARP for it takes the traffic of the whole fleet on its segment. */
function quietArp(facts: Facts): string {
  return ARP.filter(({ name }) => facts.interfaceSysctl(4, name) === 0)
    .map(({ name, good }) => `${setSysctl(`net/ipv4/conf/all/${name}`, good)} && `)
    .join('');
}
