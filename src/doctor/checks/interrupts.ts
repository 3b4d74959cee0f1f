/** A card with many queues whose interrupts all go to one processor is a card with one queue. */
import type { Check } from '../check.js';
import { readInterrupts } from '../interrupts.js';

export const interrupts: Check = {
  name: 'interrupts',
  where: ['forwarder', 'backend'],
  looks: "The interrupts of the card's queues go to different processors.",
  async run(facts) {
    const { interface: name } = facts.place;
    if (!(await facts.isCard())) return [];
    const own = readInterrupts(facts.host, name);
    const targets = new Set(own.map(({ processors }) => processors));
    if (own.length < 2 || targets.size > 1 || facts.host.processors < 2) return [];
    const [only] = targets;
    if (!/^\d+$/.test(only)) return []; // several, of which the kernel chooses
    return [
      {
        level: 'warning',
        saw: `all ${own.length} interrupts of ${name} go to processor ${only} (/proc/irq/${own[0].number}/smp_affinity_list and others)`,
        breaks: 'One processor handles all packets, whatever the number of queues.',
        mend: `systemctl enable --now irqbalance, or one by one: ${own.map(({ number }, i) => `echo ${i % facts.host.processors} > /proc/irq/${number}/smp_affinity_list`).join('; ')}`,
      },
    ];
  },
};
