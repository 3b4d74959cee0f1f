/** The XDP program of the engine: there, ours, and in the driver. */
import { FORWARD_PROGRAM } from '../../engine/requirements.js';
import type { Check } from '../check.js';

export const program: Check = {
  name: 'program',
  where: ['forwarder'],
  looks: 'The program on the interface is that of the engine, and runs in the driver.',
  async run(facts) {
    const { interface: name } = facts.place;
    const attached = await facts.attached();
    const running = await facts.status();
    const isXdp = await facts.usesXdp();
    if (attached === undefined) {
      if (running === undefined || !isXdp) return [];
      return [
        {
          level: 'error',
          saw: `the node runs, and no XDP program is on ${name} (ip link show dev ${name})`,
          breaks: 'No packet gets to the engine, and the host handles packets for the VIPs itself.',
          mend: 'anyhop run puts it back by itself, unless its pins are gone: systemctl restart anyhop',
        },
      ];
    }
    const off = `ip link set dev ${name} ${attached.mode === 'generic' ? 'xdpgeneric' : 'xdp'} off`;
    const isForeign = attached.name !== undefined && !attached.name.startsWith('anyhop_');
    if (isForeign) {
      return [
        {
          level: 'error',
          saw: `another XDP program is on ${name}: ${attached.name} (id ${attached.id}, ${attached.mode})`,
          breaks: isXdp
            ? 'The XDP engines cannot have the interface, and this program decides what becomes of packets for the VIPs.'
            : 'It may take or drop packets for the VIPs before the engine portable sees them.',
          mend: `if nobody needs it: ${off}`,
        },
      ];
    }
    if (attached.name === FORWARD_PROGRAM && isXdp && attached.mode === 'generic') {
      return [
        {
          level: 'warning',
          saw: `the program runs before the stack (generic XDP), not in the driver of ${name} (ip link show dev ${name})`,
          breaks: 'Each packet costs two to four times as much.',
          mend: `see the line "refuses XDP" in the log of the node's start: often LRO, or an MTU above 3498: ethtool -K ${name} lro off; ip link set dev ${name} mtu 3498`,
        },
      ];
    }
    return [];
  },
};
