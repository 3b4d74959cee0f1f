/** How many queues a card has, and so how many processors handle its packets. */
import type { Check, Finding } from '../check.js';
import { readSizes } from '../ethtool.js';

export const queues: Check = {
  name: 'queues',
  where: ['forwarder', 'backend'],
  looks: 'The card spreads packets over several processors, and has as many transmit as receive queues.',
  async run(facts) {
    const { interface: name } = facts.place;
    const here = facts.host.list(`/sys/class/net/${name}/queues`);
    const [receive, send] = ['rx-', 'tx-'].map((kind) => here.filter((each) => each.startsWith(kind)).length);
    const findings: Finding[] = [];
    const isAfXdp = facts.place.where === 'forwarder' && (await facts.engine()) === 'af_xdp';
    if (isAfXdp && send < receive) {
      findings.push({
        level: 'error',
        saw: `${name} has ${receive} receive queues and ${send} transmit queues (/sys/class/net/${name}/queues)`,
        breaks: 'The engine af_xdp sends by the queue that it receives from, and cannot start.',
        mend: `ethtool -L ${name} rx ${send}`,
      });
    }
    if ((await facts.isCard()) && receive === 1 && facts.host.processors > 1) {
      const most = (await readSizes(facts.host, '-l', name))?.most;
      const possible = Math.max(most?.get('Combined') ?? 0, most?.get('RX') ?? 0);
      findings.push({
        level: possible > 1 ? 'warning' : 'note',
        saw: `${name} has one receive queue, and this host ${facts.host.processors} processors (/sys/class/net/${name}/queues)`,
        breaks: 'One processor handles all packets.',
        mend:
          possible > 1
            ? `ethtool -L ${name} ${(most?.get('Combined') ?? 0) > 1 ? 'combined' : 'rx'} ${Math.min(possible, facts.host.processors)}`
            : 'a card, or a virtual card, with several queues',
      });
    }
    return findings;
  },
};
