/** A card whose driver runs no XDP program: the program runs before the stack instead. */
import type { Check } from '../check.js';
import { readDriver } from '../ethtool.js';

/** Of common cards, Linux 6.18. */
const WITHOUT_XDP: ReadonlySet<string> = new Set([
  'e1000',
  'e1000e',
  'r8169',
  'tg3',
  'bnx2x',
  'be2net',
  'forcedeth',
  'sky2',
]);

export const driver: Check = {
  name: 'driver',
  where: ['forwarder', 'backend'],
  looks: "The card's driver runs XDP programs itself.",
  async run(facts) {
    const { interface: name } = facts.place;
    if (!(await facts.isCard()) || !(await facts.usesXdp())) return [];
    const found = await readDriver(facts.host, name);
    if (found === undefined || !WITHOUT_XDP.has(found)) return [];
    return [
      {
        level: facts.place.where === 'forwarder' ? 'warning' : 'note',
        saw: `the driver of ${name} is ${found}, which runs no XDP program (ethtool -i ${name})`,
        breaks:
          'Programs run before the stack instead (generic XDP): each packet costs two to four times as much.',
        mend: 'a card with XDP in its driver: ixgbe, i40e, ice, mlx5, virtio_net, ena and others',
      },
    ];
  },
};
