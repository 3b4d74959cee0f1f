/** `anyhop stop`: ends the forwarding that goes on without a process. */
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
    .summary('take off an interface what a node has left forwarding there')
    .description(
      'With the engine xdp, forwarding goes on when "anyhop run" ends by SIGTERM or is killed: program and state stay in ' +
        'the kernel, pinned in a BPF file system, and the next run adopts them. This command removes them instead. ' +
        "From then on the interface has no program, and packets for the VIPs are the host's.",
    )
    .addOption(configOption())
    .addOption(interfaceOption())
    .addOption(
      new Option(
        '--bpffs <directory>',
        `the node's BPF file system, instead of the one in the file; without a file ${BPFFS_DEFAULT}`,
      ),
    )
    .addOption(new Option('--json', 'print one JSON object'))
    .addHelpText(
      'after',
      `
The config says which interface and BPF file system. With --interface it is read only when it is named (-c, ANYHOP_CONFIG)
and --bpffs is not given. A run that is still there is
not touched: end it first. Nothing to remove is no failure.
Exit codes: 0 done or nothing to do, 2 wrong config or usage, 3 a process is in charge, or a capability is missing.

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
  if (removed === undefined) return `nothing of anyhop is in force on ${name} (looked in ${bpffs})\n`;
  if (removed.attached === undefined) return `removed what was left in ${bpffs}; no program was on ${name}\n`;
  const { mode, programId, generation, interface: now } = removed.attached;
  const where = now === name ? name : `${now}, which was called ${name} before`;
  const image = generation === undefined ? 'an image of another version' : `generation ${generation}`;
  return `stopped forwarding on ${where}: program ${programId} (${mode} XDP, ${image}) and its pins are gone\n`;
}
