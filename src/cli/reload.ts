/** `anyhop reload`: a running node reads its config file again. */
import { Command } from 'commander';
import { type ChangeCommandOptions, changeAndTell, changeOptions } from './change.js';

export function reloadCommand(): Command {
  const command = new Command('reload')
    .summary('make a running node read its config file again')
    .description(
      'Makes a running node read its config file again, as SIGHUP does. Prints what has changed, and what waits and until when.',
    );
  const force =
    'put everything in force now: this file, all changes that wait, and what is refused otherwise; connections may break';
  for (const option of changeOptions(force)) command.addOption(option);
  return command
    .addHelpText(
      'after',
      `
A file with a problem changes nothing: every problem is listed as file:line:column, and the config in force stays. "anyhop plan"
shows beforehand what a reload would do.
A pool's change comes into force at once if fewer than two of its changes are open: not settled (settle_time), or with a drain that is not
done. Otherwise it waits. Health checks, services and thresholds never wait. Some changes break connections for good: another table size, hash or key, another pool
for a service, a service that leaves. They are refused without --force, and a restart does not apply them either.
With --force, files of defend.allow and defend.block are also taken that have lost more than max_shrink.
Exit codes: 0 in force or waiting, 1 refused (it breaks connections, needs a restart, or too many changes wait) or no node
answers, 2 the file is wrong.

Examples:
  anyhop plan && anyhop reload
  anyhop reload --force`,
    )
    .action(async (options: ChangeCommandOptions) => {
      await changeAndTell('/reload', { force: options.force === true }, options);
    });
}
