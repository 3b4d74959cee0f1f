/** `anyhop weight`: a backend gets another share of the flows. */
import { Argument, type Command } from 'commander';
import { WEIGHT_MAX } from '../core/limits.js';
import { type BackendCommandOptions, backendCommand, changeBackend } from './change.js';
import { between } from './number.js';

export function weightCommand(): Command {
  return backendCommand('weight')
    .summary("change a backend's share of the flows")
    .description(
      'Sets the weight of a backend: on a running node, whatever the config file says, or in the config of the whole fleet.',
    )
    .addArgument(
      new Argument(
        '<weight>',
        `relative to the other backends of the pool, 0 (no flows) to ${WEIGHT_MAX}`,
      ).argParser(between(0, WEIGHT_MAX)),
    )
    .addHelpText(
      'after',
      `
A new weight makes a new table. Slots of other backends move too, and second chance keeps their connections for the settle
time. Like every planned change, it waits until the one before has settled. It replaces an earlier weight that still waits.
On one node, the override survives restarts. It ends when the config file says the same or no longer has the backend. Without a fleet,
run it on each node.
Exit codes: 0 in force or waiting, 1 refused or no node answers, 2 wrong usage, such as an unknown backend.

Examples:
  anyhop weight web-2 5 --plan
  anyhop weight web-2 5
  anyhop weight web-2 0 --pool web`,
    )
    .action(async (backend: string, weight: number, options: BackendCommandOptions) => {
      await changeBackend('/weight', { backend, weight }, { weight }, options);
    });
}
