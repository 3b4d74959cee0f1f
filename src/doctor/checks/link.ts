/** Nothing arrives on an interface that is not there, is down, or has no cable. */
import type { Check } from '../check.js';

export const link: Check = {
  name: 'link',
  where: ['forwarder', 'backend'],
  looks: 'The interface is there, is up, and sees its other end.',
  async run({ links, place: { interface: name } }) {
    const all = await links();
    const found = all.get(name);
    const breaks = 'No packet comes in.';
    if (found === undefined) {
      const others = [...all.keys()].filter((each) => each !== 'lo').sort();
      return [
        {
          level: 'error',
          saw: `there is no interface ${name}; there are: ${others.join(', ') || 'none'} (ip link)`,
          breaks,
          mend: '--interface NAME, or the field interface of the config',
        },
      ];
    }
    if (found.isUp && found.hasCarrier) return [];
    return [
      {
        level: 'error',
        saw: `${name} ${found.isUp ? 'has no carrier: its other end is down or not connected' : 'is down'} (ip link show dev ${name})`,
        breaks,
        mend: found.isUp ? `ethtool ${name}` : `ip link set dev ${name} up`,
      },
    ];
  },
};
