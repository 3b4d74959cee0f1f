/** What keeps this host from taking SYN cookies of the fleet: the agent reports the same to forwarders. */
import { lastingObstacle, passingObstacle } from '../../agent/cookies/host.js';
import { wantsCookies } from '../../agent/cookies/keys.js';
import type { Check } from '../check.js';

export const cookieHost: Check = {
  name: 'cookie-host',
  where: ['backend'],
  looks:
    'With syn_cookies, this host can take them: key, kernel function, settings of TCP, no MPTCP listener, no packet socket in between.',
  run({ host, place: { config, targets } }) {
    const { agent } = config;
    if (agent === undefined || !targets.some((target) => target.agent) || !wantsCookies(config)) return [];
    const asked = { ...config, agent };
    const obstacle = lastingObstacle(asked, host) ?? passingObstacle(asked, host);
    if (obstacle === undefined) return [];
    return [
      {
        level: 'warning',
        saw: `this host takes no SYN cookies of forwarders: ${obstacle.why}`,
        breaks:
          'In a flood, SYNs to this backend pass under a cap, and those of clients are dropped with the others.',
        mend: obstacle.hint,
      },
    ];
  },
};
