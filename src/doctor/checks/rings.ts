/** A card keeps what comes while the processor is away in its receive rings. */
import type { Check } from '../check.js';
import { readSizes } from '../ethtool.js';

/** Fewer last for less than half a millisecond at a million packets a second. */
const RING_MIN = 512;
/** The default of many cards for one gigabit. */
const RING_BAD = 256;

export const rings: Check = {
  name: 'rings',
  where: ['forwarder', 'backend'],
  looks: 'The receive rings of the card hold bursts.',
  async run(facts) {
    const { interface: name } = facts.place;
    if (!(await facts.isCard())) return [];
    const sizes = await readSizes(facts.host, '-g', name);
    const [now, most] = [sizes?.now.get('RX'), sizes?.most.get('RX')];
    if (now === undefined || most === undefined || now >= RING_MIN || now >= most) return [];
    return [
      {
        level: now < RING_BAD ? 'warning' : 'note',
        saw: `the receive rings of ${name} hold ${now} packets of ${most} that are possible (ethtool -g ${name})`,
        breaks: 'A burst that comes while the processor is away is lost in the card (rx_missed_errors).',
        mend: `ethtool -G ${name} rx ${Math.min(most, 4 * RING_MIN)}`,
      },
    ];
  },
};
