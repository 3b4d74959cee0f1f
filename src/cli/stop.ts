/** `anyhop stop`: ends forwarding that continues without a process. */
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { ConfigError } from '../config/error.js';
import { createLog } from '../core/log.js';
import { removeForwarding } from '../engine/candidates.js';
import { loadAnnounce } from './announce-place.js';
import { type NamedAnnouncer, withdrawFirst } from './announce-stop.js';
import { configOption, interfaceOption, isNamed, loadFor } from './options.js';
import { bpffsOption, type PlaceOptions, placeOf, tellRemoved } from './place.js';

export function stopCommand(): Command {
  return new Command('stop')
    .summary('remove the forwarding that a node left on an interface')
    .description(
      'Removes the program that "anyhop run" with the engine xdp leaves on its interface. When such a run ends by SIGTERM or is ' +
        'killed, program and state stay in the kernel, pinned in a BPF file system, and keep forwarding until the next run adopts ' +
        'them. After this command, packets for the VIPs go to the host. What "anyhop announce" tells routers of it is withdrawn a second before.',
    )
    .addOption(configOption())
    .addOption(interfaceOption())
    .addOption(bpffsOption('node', 'BPF file system of the node'))
    .addOption(new Option('--json', 'print one JSON object'))
    .addHelpText(
      'after',
      `
Interface and BPF file system come from the config file. With --interface, the file is read only if -c or ANYHOP_CONFIG names it
and --bpffs is missing. Stop a running node first: this command does not end it. Finding nothing is not an error.
Exit codes: 0 done or nothing to do, 2 wrong config or usage, 3 a node still runs there, or a capability is missing.

Examples:
  anyhop stop -c anyhop.yaml
  anyhop stop --interface eth0`,
    )
    .action(async (options: PlaceOptions, command: Command) => {
      const place = placeOf(options, isNamed(command), () => loadFor('run', options).node);
      await withdrawFirst(place.interface, namedAnnouncer(options, isNamed(command)));
      const removed = await removeForwarding(place, createLog('warn'));
      tellRemoved(options, place, removed, 'nothing of anyhop forwards on', (attached) => {
        const { mode, programId, generation, interface: now } = attached;
        const where = now === place.interface ? now : `${now}, which was called ${place.interface} before`;
        const image = generation === undefined ? 'an image of another version' : `generation ${generation}`;
        return `stopped forwarding on ${where}: program ${programId} (${mode} XDP, ${image}) and its pins are gone`;
      });
    });
}

/** Of the config, if it can be read: without one, announcers are found where they are by default. */
function namedAnnouncer(options: PlaceOptions, isConfigNamed: boolean): NamedAnnouncer | undefined {
  if (!isConfigNamed && !existsSync(options.config)) return undefined;
  try {
    const { place, announce } = loadAnnounce({ config: options.config });
    return { socket: place.socket, trackFile: announce.trackFile };
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
