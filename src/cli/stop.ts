/** `anyhop stop`: ends the forwarding that continues without a process. */
import { Command, Option } from 'commander';
import { BPFFS_DEFAULT } from '../core/limits.js';
import { createLog } from '../core/log.js';
import { removeForwarding } from '../engine/candidates.js';
import type { Place, Removed } from '../engine/contract.js';
import {
  type ConfigOptions,
  configOption,
  interfaceOption,
  isNamed,
  loadFor,
  type NodeOptions,
} from './options.js';
import { writeOut } from './output.js';

interface StopOptions extends ConfigOptions, Pick<NodeOptions, 'interface'> {
  readonly bpffs?: string;
  readonly json?: true;
}

export function stopCommand(): Command {
  return new Command('stop')
    .summary('remove the forwarding that a node left on an interface')
    .description(
      'Removes the program that "anyhop run" with the engine xdp leaves on its interface. When such a run ends by SIGTERM or is ' +
        'killed, program and state stay in the kernel, pinned in a BPF file system, and keep forwarding until the next run adopts ' +
        'them. After this command, packets for the VIPs go to the host.',
    )
    .addOption(configOption())
    .addOption(interfaceOption())
    .addOption(
      new Option(
        '--bpffs <directory>',
        `BPF file system of the node (default: node.bpffs of the config file; without a file: ${BPFFS_DEFAULT})`,
      ),
    )
    .addOption(new Option('--json', 'print one JSON object'))
    .addHelpText(
      'after',
      `
Interface and BPF file system come from the config file. With --interface, the file is read only if -c or ANYHOP_CONFIG names it
and --bpffs is missing. End a run that is still there first: this command does not touch it. Finding nothing is not an error.
Exit codes: 0 done or nothing to do, 2 wrong config or usage, 3 a run is still there, or a capability is missing.

Examples:
  anyhop stop -c anyhop.yaml
  anyhop stop --interface eth0`,
    )
    .action(async (options: StopOptions, command: Command) => {
      const place = placeOf(options, isNamed(command));
      const removed = await removeForwarding(place, createLog('warn'));
      writeOut(
        options.json ? `${JSON.stringify({ ...place, removed: removed ?? null })}\n` : textOf(place, removed),
      );
    });
}

/** @param isConfigNamed a config that somebody names is read; without one, an interface is enough */
function placeOf(options: StopOptions, isConfigNamed: boolean): Place {
  const { bpffs } = options;
  if (options.interface !== undefined && (bpffs !== undefined || !isConfigNamed))
    return { interface: options.interface, bpffs: bpffs ?? BPFFS_DEFAULT };
  const { node } = loadFor('run', options);
  return { interface: node.interface, bpffs: options.bpffs ?? node.bpffs };
}

function textOf({ interface: name, bpffs }: Place, removed: Removed | undefined): string {
  if (removed === undefined) return `nothing of anyhop forwards on ${name} (looked in ${bpffs})\n`;
  if (removed.attached === undefined) return `removed what was left in ${bpffs}; no program was on ${name}\n`;
  const { mode, programId, generation, interface: now } = removed.attached;
  const where = now === name ? name : `${now}, which was called ${name} before`;
  const image = generation === undefined ? 'an image of another version' : `generation ${generation}`;
  return `stopped forwarding on ${where}: program ${programId} (${mode} XDP, ${image}) and its pins are gone\n`;
}
