/** `anyhop undrain`: a backend takes new flows again. */
import type { Command } from 'commander';
import { type BackendCommandOptions, backendCommand, changeBackend } from './change.js';

export function undrainCommand(): Command {
  return backendCommand('undrain')
    .summary('let a backend take new flows again')
    .description(
      'Makes a backend active: on a running node, whatever the config file says, or in the config of the whole fleet.',
    )
    .addHelpText(
      'after',
      `
The backend gets back exactly the slots that it had. A drain that still waits is cancelled. A drain in force ends at once if
fewer than two changes are open, and otherwise when one of them has settled, ahead of all other changes that wait.
On one node, the override survives restarts. It ends when the config file says the same or no longer has the backend. Without a fleet,
run it on each node.
Exit codes: 0 in force or waiting, 1 refused or no node answers, 2 wrong usage, such as an unknown backend.

Examples:
  anyhop undrain web-2
  anyhop undrain web-2 --pool web --force`,
    )
    .action(async (backend: string, options: BackendCommandOptions) => {
      await changeBackend('/undrain', { backend }, { state: 'active' }, options);
    });
}
