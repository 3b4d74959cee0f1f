/** Backends that cannot take SYN cookies, though forwarders are to answer SYNs for them. */
import { OTHER_COOKIE_KEY } from '../../api/defend.js';
import { printable } from '../../core/printable.js';
import type { Check } from '../check.js';

export const cookies: Check = {
  name: 'cookies',
  where: ['forwarder'],
  looks: 'With syn_cookies, the agent of each backend takes the cookies of this node.',
  async run({ status, place }) {
    const found = await status();
    const asked = new Set(place.targets.map(({ pool, name }) => `${pool}/${name}`));
    return (found?.defend?.withoutCookies ?? [])
      .filter(({ pool, backend }) => asked.has(`${pool}/${backend}`))
      .map(({ pool, backend, why }) => ({
        level: 'warning' as const,
        saw: `${pool}/${backend} takes no SYN cookies: ${printable(why)} (anyhop defend status)`,
        breaks: 'In a flood, SYNs to it pass under a cap, and those of clients are dropped with the others.',
        mend:
          why === OTHER_COOKIE_KEY
            ? `on ${backend}, put this host's key in place and reload the agent (docs/syn-cookies.md, "The key")`
            : `on ${backend}: anyhop doctor; anyhop agent -c ${place.config.file} --check`,
      }));
  },
};
