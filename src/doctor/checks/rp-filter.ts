/** Strict reverse path filtering drops what comes in by another interface than the answer leaves by. */

import { isReversePathStrict } from '../../agent/environment.js';
import { requireTool } from '../../core/tool.js';
import type { Check, Finding } from '../check.js';
import type { Facts } from '../facts.js';
import { setSysctl } from '../mend.js';
import { plainTunnels } from '../tunnels.js';

export const rpFilter: Check = {
  name: 'rp-filter',
  where: ['backend'],
  looks:
    'rp_filter is not strict where packets from clients come in by another interface than the one that answers leave by.',
  async run(facts) {
    if (!facts.vips().some(({ family }) => family === 4)) return [];
    const doors = [facts.place.interface, ...(await plainTunnels(facts)).map(({ name }) => name)];
    const strict = doors.filter((name) => isReversePathStrict(name, facts.host));
    if (strict.length === 0) return [];
    const ways = await interfacesToClients(facts);
    return strict.flatMap((name) => (ways.size === 1 && ways.has(name) ? [] : [finding(name, ways)]));
  },
};

function finding(name: string, ways: ReadonlySet<string>): Finding {
  const all = [...ways].join(', ');
  return {
    level: ways.has(name) ? 'warning' : 'error',
    saw: `rp_filter is strict on ${name}, and routes lead out of ${all || 'nothing'} (/proc/sys/net/ipv4/conf/${name}/rp_filter, ip route)`,
    breaks: `The kernel drops packets of all clients whose route does not lead out of ${name}; nothing but its counter of martians tells.`,
    // The larger value counts: 2 for the interface is the loose one whatever all has.
    mend: setSysctl(`net/ipv4/conf/${name}/rp_filter`, 2),
  };
}

/** Those that routes through a router leave by: clients are behind routers. */
async function interfacesToClients({ host }: Facts): Promise<ReadonlySet<string>> {
  const routes: { dev?: string; gateway?: string; via?: unknown; nexthops?: { dev?: string }[] }[] =
    JSON.parse((await requireTool(host.run, 'ip', ['-json', '-4', 'route', 'show'])) || '[]');
  const routed = routes.filter(({ gateway, via, nexthops }) => gateway ?? via ?? nexthops);
  return new Set(
    routed.flatMap(({ dev, nexthops = [{ dev }] }) => nexthops.flatMap((hop) => hop.dev ?? dev ?? [])),
  );
}
