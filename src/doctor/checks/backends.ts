/** Which backends are down, why, and what that means for their pool. */

import type { ServiceConfig } from '../../config/types.js';
import { formatEndpoint } from '../../packet/compose.js';
import { refusalOf } from '../../underlay/route.js';
import type { Check } from '../check.js';

/** Modes of a pool in which those that are down get packets all the same, and what that means. */
const NEEDS: ReadonlyMap<string, string> = new Map([
  [
    'all_down',
    'No backend of the pool is up: all are tried, and connections to those that do not work fail.',
  ],
  [
    'panic',
    'Too few backends of the pool are up: health marks are ignored, and connections to this one may fail.',
  ],
]);

export const backends: Check = {
  name: 'backends',
  where: ['forwarder'],
  looks: 'Every backend that this node sends to is up, and its next hop is known.',
  async run({ status, routes, place, services }) {
    const found = await status();
    if (found === undefined) return []; // the check "node" says so
    const refused = new Set(
      // "routes" says so
      (await routes()).flatMap(({ target, answer }) =>
        refusalOf(answer) === undefined ? [] : [target.address.text],
      ),
    );
    const asked = new Set(place.targets.map(({ pool, name }) => `${pool}/${name}`));
    return found.pools.flatMap(({ name: pool, mode, backends: members }) => {
      const need = NEEDS.get(mode);
      const service = services.find((each) => each.pool === pool);
      return members
        .filter(
          ({ name, address, health }) =>
            asked.has(`${pool}/${name}`) && health !== 'up' && !refused.has(address),
        )
        .map(({ name, address, healthReason, healthSince, nextHop, reachable }) => {
          const why = reachable || !('missing' in nextHop) ? healthReason : nextHop.missing;
          return {
            level: need === undefined ? ('warning' as const) : ('error' as const),
            saw: `${pool}/${name} (${address}) is down since ${healthSince}: ${why ?? 'no reason is known'} (anyhop status --down)`,
            breaks: need ?? 'It gets no new connections; those that it has may be broken.',
            mend: reachable
              ? `on the backend: anyhop doctor${service === undefined ? '' : `; which step fails: ${traceOf(service, name)}`}`
              : `ip route get ${address}; ip neigh show ${address}`,
          };
        });
    });
  },
};

function traceOf({ vip, portFirst, protocol }: ServiceConfig, backend: string): string {
  const proto = protocol === 'udp' ? ' --proto udp' : '';
  return `anyhop trace ${formatEndpoint({ address: vip, port: portFirst })}${proto} --backend ${backend}`;
}
