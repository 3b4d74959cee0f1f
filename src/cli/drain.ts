/** `anyhop drain`: a backend gets no new flows and keeps those it has; --wait waits until none is left. */
import type { Command } from 'commander';
import { EXIT } from '../core/errors.js';
import { type BackendCommandOptions, backendCommand, changeBackend } from './change.js';
import { drainAndFollow } from './drain-follow.js';

interface DrainOptions extends BackendCommandOptions {
  readonly wait?: true;
}

export function drainCommand(): Command {
  return backendCommand('drain')
    .summary('stop sending new flows to a backend')
    .description(
      'Drains a backend, on a running node whatever the config file says, or in the whole fleet: it gets no new flows and keeps those it has.',
    )
    .option('--wait', 'wait until no connection is left or drain_deadline has passed')
    .addHelpText(
      'after',
      `
The backend's slots go to the others. With second chance, it keeps its connections for as long as it drains. Remove it from the
config file when it has none left. Two planned changes may overlap; a third, such as this drain, waits until one of them has settled.
On one node, the override survives restarts. It ends when the config file says the same or no longer has the backend. Without a fleet,
run it on each node.
--wait follows the number of TCP connections that the backend's agent reports. Without an agent this number is unknown, and the
drain ends at the deadline. Progress goes to standard error. Ctrl-C ends the wait, not the drain. In a fleet, a node must run here: it knows how far the
drain has come, and --json prints a second object with that.
Exit codes: 0 in force or waiting, with --wait: drained in every pool; 1 refused, no node answers, or with --wait: ended in
another way, such as by the deadline; 2 wrong usage, such as an unknown backend.

Examples:
  anyhop drain web-2 --plan
  anyhop drain web-2
  anyhop drain web-2 --wait && ssh web-2 reboot
  anyhop drain web-2 --fleet -m 'new disks'`,
    )
    .action(drain);
}

async function drain(backend: string, options: DrainOptions): Promise<void> {
  if (!options.wait || options.plan)
    return changeBackend('/drain', { backend }, { state: 'draining' }, options);
  const drains = await drainAndFollow(backend, options);
  if (drains?.some(({ stage }) => stage !== 'drained')) process.exitCode = EXIT.failure;
}
