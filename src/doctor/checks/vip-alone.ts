/** `ip addr add 203.0.113.10/24 dev lo` makes 256 addresses local, since lo takes all of a prefix for its own. */
import { type RunTool, requireTool } from '../../core/tool.js';
import type { Check } from '../check.js';
import { setSysctl } from '../mend.js';

interface Shown {
  readonly ifname: string;
  readonly addr_info?: readonly {
    readonly family: string;
    readonly local?: string;
    readonly prefixlen: number;
  }[];
}

export const vipAlone: Check = {
  name: 'vip-alone',
  where: ['backend'],
  looks:
    'No IPv4 VIP on the loopback interface has a prefix shorter than /32, which would make its neighbours local too.',
  async run(facts) {
    const vips = facts.vips().filter(({ family }) => family === 4);
    return (await loopbackAddresses(facts.host.run)).flatMap(({ local, prefixlen }) => {
      const vip = vips.find(({ text }) => text === local);
      if (vip === undefined || prefixlen >= 32) return [];
      return [
        {
          level: 'warning',
          saw: `${local}/${prefixlen} is on lo (ip addr show dev lo)`,
          breaks: `All ${2 ** (32 - prefixlen)} addresses of that prefix end on this host: it answers no client that has one of them.`,
          // Without promote_secondaries, the other addresses of the prefix would go with the first one.
          mend: `${setSysctl('net/ipv4/conf/lo/promote_secondaries', 1)} && ip addr add ${local}/32 dev lo && ip addr del ${local}/${prefixlen} dev lo`,
        },
      ];
    });
  },
};

async function loopbackAddresses(run: RunTool): Promise<{ local: string; prefixlen: number }[]> {
  const shown: Shown[] = JSON.parse(
    await requireTool(run, 'ip', ['-json', '-4', 'addr', 'show', 'dev', 'lo']),
  );
  return shown.flatMap(({ addr_info = [] }) =>
    addr_info.flatMap(({ local, prefixlen }) => (local === undefined ? [] : [{ local, prefixlen }])),
  );
}
