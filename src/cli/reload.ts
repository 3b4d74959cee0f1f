/** `anyhop reload`: a running node reads its config file again. */
import { Command } from 'commander';
import { type ChangeCommandOptions, change, changeOptions } from './change.js';
import { drawChange } from './change-text.js';
import { writeOut } from './output.js';

export function reloadCommand(): Command {
  const command = new Command('reload')
    .summary('have a running node read its config file again')
    .description(
      'Tells a running node to read its config file again, as SIGHUP does. Says what has changed, and what waits until when.',
    );
  const force =
    'wait for nothing, and take along all that waits, whatever connections that breaks; take what breaks them for good';
  for (const option of changeOptions(force)) command.addOption(option);
  return command
    .addHelpText(
      'after',
      `
A file with a problem changes nothing: every problem is listed, file:line:column, and what was in force still is. What a change
would do "anyhop plan" says before.
Each pool takes its change at once when the one before has settled (settle_time), and remembers what it was; otherwise it
waits its turn. Health checks, services and thresholds never wait. What breaks connections for good (another table size, hash, pool
of a service or key, a service that leaves) is refused without --force, and a restart does not take it either.
Exit codes: 0 done or waiting its turn, 1 refused (it breaks connections, takes a restart, or too much waits already) or no node
answers, 2 the file is wrong.

Examples:
  anyhop plan && anyhop reload
  anyhop reload --force`,
    )
    .action(async (options: ChangeCommandOptions) => {
      const done = await change('/reload', { force: options.force === true }, options);
      if (done === undefined) return;
      writeOut(options.json ? `${JSON.stringify(done.report)}\n` : drawChange(done.report));
    });
}
