/** `anyhop pass`: what the far end of a veth needs before it takes frames that XDP sends. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { INTERFACE_EXPECTED, INTERFACE_PATTERN } from '../config/schema.js';
import { attachPass, detachPass, requireLink } from '../pins/pass.js';
import type { Link } from '../underlay/link.js';
import { writeOut } from './output.js';

interface PassOptions {
  readonly interface: string;
  readonly stop?: boolean;
  readonly json?: boolean;
}

export function passCommand(): Command {
  return new Command('pass')
    .summary('let frames that XDP sends arrive at the far end of a veth')
    .description(
      'Attaches an XDP program that lets every packet pass. For the far end of a veth whose near end runs `anyhop run` (engine xdp) or ' +
        '`anyhop agent`, in containers and labs.',
    )
    .addOption(
      new Option('--interface <name>', 'the far end, in the network namespace that it is in')
        .argParser(networkInterface)
        .makeOptionMandatory(),
    )
    .option('--stop', 'take the program off again')
    .option('--json', 'print one JSON object, {interface, changed, attached}')
    .addHelpText(
      'after',
      `
A veth is a pair of interfaces, each the far end of the other. Frames that an XDP program sends or redirects out of one end
reach the other end only while that has an XDP program itself, in the driver. Otherwise they vanish and count as sent by the program;
ethtool -S has them as xdp_tx_errors or xdp_xmit_errors. GRO at the far end (ethtool -K eth0 gro on) makes the driver take them, but a
frame may then lie there for seconds, and none arrived in a lab with one link to the forwarder (Linux 6.18).

The command ends at once and the program stays, until --stop, ip link set dev eth0 xdp off, or the interface is gone. It needs
CAP_NET_ADMIN and CAP_BPF; --stop needs CAP_SYS_ADMIN.

Senders on the same machine leave checksums to a network card that a veth does not have, and XDP takes packets as they are. So on the
interface that they send from: ethtool -K eth0 tx off
Exit codes: 0 done, also when it was there already; 2 wrong usage; 3 the machine lacks something or has another program there.

Examples:
  ip netns exec router anyhop pass --interface to-edge-1
  ip netns exec client ethtool -K eth0 tx off
  ip netns exec router anyhop pass --interface to-edge-1 --stop`,
    )
    .action(async ({ interface: name, stop = false, json = false }: PassOptions) => {
      const link = await requireLink(name);
      const changed = stop ? detachPass(link) : attachPass(link);
      writeOut(
        json
          ? `${JSON.stringify({ interface: name, changed, attached: !stop })}\n`
          : textOf(link, stop, changed),
      );
    });
}

function networkInterface(name: string): string {
  if (INTERFACE_PATTERN.test(name)) return name;
  throw new InvalidArgumentError(`It is ${INTERFACE_EXPECTED}.`);
}

function textOf({ name, kind }: Link, stop: boolean, changed: boolean): string {
  if (stop) {
    return changed
      ? `${name}: the program that passes all is gone; frames that XDP sends from the far end are lost\n`
      : `${name}: there was no program that passes all\n`;
  }
  const note = kind === 'veth' ? '' : `; it is no veth, and frames arrive there without it`;
  return `${name}: ${changed ? 'every packet passes' : 'had the program that passes all already'}${note}\n`;
}
