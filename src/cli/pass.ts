/** `anyhop pass`: prepares the far end of a veth to receive frames that XDP sends. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { INTERFACE_EXPECTED, INTERFACE_PATTERN } from '../config/schema.js';
import { attachPass, detachPass, requireLink } from '../pins/pass.js';
import type { Link } from '../underlay/link.js';
import { writeResult } from './output.js';

interface PassOptions {
  readonly interface: string;
  readonly stop?: boolean;
  readonly json?: boolean;
}

export function passCommand(): Command {
  return new Command('pass')
    .summary('let a veth receive frames that XDP sends at its far end')
    .description(
      'Attaches an XDP program that lets every packet pass. In containers and labs, the far end of a veth needs it when the near ' +
        'end runs `anyhop run` (engine xdp) or `anyhop agent`.',
    )
    .addOption(
      new Option('--interface <name>', 'the far end; run the command in its network namespace')
        .argParser(networkInterface)
        .makeOptionMandatory(),
    )
    .option('--stop', 'remove the program')
    .option('--json', 'print one JSON object, {interface, changed, attached}')
    .addHelpText(
      'after',
      `
A veth is a pair of interfaces, each the far end of the other. Frames that an XDP program sends or redirects out of one end
reach the other end only while the other end has an XDP program in the driver. Otherwise they are lost, although the program counts
them as sent; ethtool -S counts them as xdp_tx_errors or xdp_xmit_errors. GRO at the far end is not enough: frames may wait in the driver
for seconds, or never arrive (Linux 6.18).

The command ends at once. The program stays until --stop, until ip link set dev eth0 xdp off, or until the interface is removed. It needs
CAP_NET_ADMIN and CAP_BPF; --stop needs CAP_SYS_ADMIN.

Senders on the same machine leave checksums to a network card that a veth does not have, and XDP forwards packets as they are. Turn
this off on the interface that they send from: ethtool -K eth0 tx off
Exit codes: 0 done, or nothing to do; 2 wrong usage; 3 the machine lacks something, or another program is on the interface.

Examples:
  ip netns exec router anyhop pass --interface to-edge-1
  ip netns exec client ethtool -K eth0 tx off
  ip netns exec router anyhop pass --interface to-edge-1 --stop`,
    )
    .action(async ({ interface: name, stop = false, json = false }: PassOptions) => {
      const link = await requireLink(name);
      const changed = stop ? detachPass(link) : attachPass(link);
      writeResult(json, { interface: name, changed, attached: !stop }, () => textOf(link, stop, changed));
    });
}

function networkInterface(name: string): string {
  if (INTERFACE_PATTERN.test(name)) return name;
  throw new InvalidArgumentError(`Expected ${INTERFACE_EXPECTED}.`);
}

function textOf({ name, kind }: Link, stop: boolean, changed: boolean): string {
  if (stop) {
    return changed
      ? `${name}: removed the program that passes all packets; frames that XDP sends from the far end are now lost\n`
      : `${name}: there was no program that passes all packets\n`;
  }
  const note = kind === 'veth' ? '' : `; it is not a veth, and does not need the program`;
  return `${name}: ${changed ? 'every packet passes' : 'already has the program that passes all packets'}${note}\n`;
}
