/** `anyhop undrain`: a backend takes new flows again. */
import type { Command } from 'commander';
import { type BackendCommandOptions, backendCommand, changeBackend } from './change.js';

export function undrainCommand(): Command {
  return backendCommand('undrain')
    .summary('let a backend take new flows again')
    .description('Tells a running node that a backend is active, whatever the config file says.')
    .addHelpText(
      'after',
      `
It gets exactly the slots back that it had. A drain that waits is taken back; one that is in force ends before all that waits, at
once where that breaks nothing, and otherwise as soon as the change before it has settled.
It holds until the config file says the same or no longer has the backend, over restarts too. One node is told; run it on each.
Exit codes: 0 done or waiting its turn, 1 refused or no node answers, 2 wrong usage, such as a backend that is not there.

Examples:
  anyhop undrain web-2
  anyhop undrain web-2 --pool web --force`,
    )
    .action(async (backend: string, options: BackendCommandOptions) => {
      await changeBackend('/undrain', { backend }, options);
    });
}
