/** Which backends get no new connections, and why. */
import { refusalOf } from '../../underlay/route.js';
import type { Check } from '../check.js';

export const backends: Check = {
  name: 'backends',
  where: ['forwarder'],
  looks: 'Every backend that this node sends to is up, and its next hop is known.',
  async run({ status, routes, place }) {
    const found = await status();
    if (found === undefined) return []; // the check "node" says so
    const refused = new Set(
      // "routes" says so
      (await routes()).flatMap(({ target, answer }) =>
        refusalOf(answer) === undefined ? [] : [target.address.text],
      ),
    );
    const asked = new Set(place.targets.map(({ pool, name }) => `${pool}/${name}`));
    return found.pools.flatMap(({ name: pool, backends: members }) =>
      members
        .filter(
          ({ name, address, health }) =>
            asked.has(`${pool}/${name}`) && health !== 'up' && !refused.has(address),
        )
        .map(({ name, address, healthReason, healthSince, nextHop, reachable }) => {
          const why = reachable || !('missing' in nextHop) ? healthReason : nextHop.missing;
          return {
            level: 'warning' as const,
            saw: `${pool}/${name} (${address}) is down since ${healthSince}: ${why ?? 'no reason is known'} (anyhop status --down)`,
            breaks: 'It gets no new connections; those that it has may be broken.',
            mend: reachable
              ? `on the backend: anyhop doctor`
              : `ip route get ${address}; ip neigh show ${address}`,
          };
        }),
    );
  },
};
