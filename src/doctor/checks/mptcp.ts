/** The kernel refuses SYN cookies for a listener of MPTCP, which servers in Go 1.24 and later have without being asked. */
import type { Check } from '../check.js';
import { servicesWithCookies } from '../cookie-services.js';
import { listening, serves } from '../sockets.js';

export const mptcp: Check = {
  name: 'mptcp',
  where: ['backend'],
  looks: 'With syn_cookies, no socket of a service listens for MPTCP.',
  async run(facts) {
    const services = servicesWithCookies(facts);
    if (services.length === 0) return [];
    const sockets = await listening(facts, 'mptcp');
    return services
      .filter((service) => sockets.some((socket) => serves(socket, service, facts)))
      .map(({ name, portFirst }) => ({
        level: 'warning' as const,
        saw: `an MPTCP socket listens for the service ${name} (ss -lnM 'sport = ${portFirst}')`,
        breaks: 'The kernel takes no SYN cookies for it: in a flood, SYNs to this backend pass under a cap.',
        mend: 'let the server listen for TCP alone; one in Go: Environment=GODEBUG=multipathtcp=0 in its unit',
      }));
  },
};
