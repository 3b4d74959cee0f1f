/** With agent.vip_elsewhere, packets for a VIP that leads back out of the interface go round between this host and the forwarders. */
import { askKernel } from '../../underlay/route.js';
import type { Check } from '../check.js';

export const vipLoop: Check = {
  name: 'vip-loop',
  where: ['backend'],
  looks:
    'With agent.vip_elsewhere, a VIP leads to this host or onwards, and not back to where its packets come from.',
  async run(facts) {
    const { config, interface: on } = facts.place;
    const forwards = { 4: 'net/ipv4/ip_forward', 6: 'net/ipv6/conf/all/forwarding' } as const;
    const vips = facts.vips().filter(({ family }) => facts.sysctl(forwards[family]) === 1);
    if (!config.agent?.vipElsewhere || vips.length === 0) return [];
    const answers = await askKernel(vips, facts.host.run);
    return vips
      .filter((_, i) => {
        const answer = answers[i];
        return typeof answer !== 'string' && answer.type === 'unicast' && answer.dev === on;
      })
      .map(({ text }) => ({
        level: 'error' as const,
        saw: `agent.vip_elsewhere is true, and the route to the VIP ${text} leads out of ${on} (ip route get ${text})`,
        breaks:
          'This host sends what it unwraps back to the forwarders, round and round, until the TTL ends.',
        mend: `ip addr add ${text} dev lo, a route to where the VIP is, or agent.vip_elsewhere: false`,
      }));
  },
};
