/** Each check of a backend takes a descriptor, and so does each listener and connection of the control socket. */
import type { Check } from '../check.js';

/** Of a node without backends: sockets, maps, links, pipes to tools. */
const OWN = 256;

export const descriptors: Check = {
  name: 'descriptors',
  where: ['forwarder'],
  looks: 'The process may open as many descriptors as its checks of backends need at once.',
  async run({ status, host, place }) {
    const pid = (await status())?.pid ?? 'self';
    const [, limit] = /^Max open files\s+(\d+)/m.exec(host.read(`/proc/${pid}/limits`) ?? '') ?? [];
    const checked = place.config.pools.reduce(
      (sum, { backends, health }) => sum + backends.length * health.length,
      0,
    );
    const needed = OWN + 2 * checked;
    if (limit === undefined || Number(limit) >= needed) return [];
    return [
      {
        level: 'warning',
        saw: `process ${pid} may open ${limit} descriptors, and ${checked} checks of backends may need ${needed} (/proc/${pid}/limits)`,
        breaks: 'Without descriptors, checks fail and backends count as down.',
        mend: `LimitNOFILE=${Math.max(65_536, needed)} in the unit, or ulimit -n ${needed}`,
      },
    ];
  },
};
