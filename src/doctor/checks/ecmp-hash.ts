/** A Linux router in front of the forwarders spreads flows by addresses alone, unless it is told to look at ports. */
import { requireTool } from '../../core/tool.js';
import type { IpAddress } from '../../packet/address.js';
import type { Check, Finding } from '../check.js';
import type { Facts } from '../facts.js';
import { setSysctl } from '../mend.js';

export const ecmpHash: Check = {
  name: 'ecmp-hash',
  where: ['router'],
  looks: 'Where several next hops lead to a VIP, the kernel spreads flows over them by addresses and ports.',
  async run(facts) {
    const findings = await Promise.all(
      ([4, 6] as const).map(async (family): Promise<Finding[]> => {
        const path = `net/ipv${family}/fib_multipath_hash_policy`;
        if (facts.sysctl(path) !== 0) return [];
        const vips = facts.vips().filter((vip) => vip.family === family);
        const spread = await firstSpread(facts, vips);
        if (spread === undefined) return [];
        return [
          {
            level: 'warning',
            saw: `fib_multipath_hash_policy is 0, and several next hops lead to ${spread.text} (/proc/sys/${path}, ip route)`,
            breaks:
              'All connections of a client go to the same forwarder: the load is uneven, and all of it from a client behind one address.',
            mend: setSysctl(path, 1),
          },
        ];
      }),
    );
    return findings.flat();
  },
};

async function firstSpread({ host }: Facts, vips: readonly IpAddress[]): Promise<IpAddress | undefined> {
  for (const vip of vips) {
    const routes: { nexthops?: unknown[] }[] = JSON.parse(
      (await requireTool(host.run, 'ip', [
        '-json',
        `-${vip.family}`,
        'route',
        'show',
        'to',
        'match',
        vip.text,
      ])) || '[]',
    );
    if (routes.some(({ nexthops = [] }) => nexthops.length > 1)) return vip;
  }
  return undefined;
}
