/** `anyhop cancel` and `anyhop force`: what becomes of one change that waits. */
import { Command } from 'commander';
import { answerOptions, type ChangeCommandOptions, change } from './change.js';
import { drawChange } from './change-text.js';
import { writeOut } from './output.js';

export function cancelCommand(): Command {
  return queuedCommand('cancel', '/cancel')
    .summary('take back a change that waits')
    .description('Takes back one change that waits on a running node; the others go on waiting.')
    .addHelpText(
      'after',
      `
What waits behind it comes as if it had never been asked for. What was set at runtime is as before it. A change that came from the
config file comes again with the next reload or restart, unless the file has changed by then.
Exit codes: 0 done, 1 refused or no node answers, 2 wrong usage, such as a change that does not wait.

Example:
  anyhop changes && anyhop cancel web:3`,
    );
}

export function forceCommand(): Command {
  return queuedCommand('force', '/force')
    .summary('have a change that waits come now')
    .description(
      'Puts one change that waits on a running node in force now, whatever connections that breaks; the others go on waiting.',
    )
    .addHelpText(
      'after',
      `
It settles from now on, and what still waits waits for that. "anyhop drain web-2 --force" and its like do the same for what was not
asked for before; "anyhop reload --force" brings all that waits.
Exit codes: 0 done, 1 refused or no node answers, 2 wrong usage, such as a change that does not wait.

Example:
  anyhop changes && anyhop force web:3`,
    );
}

function queuedCommand(name: string, path: '/cancel' | '/force'): Command {
  const command = new Command(name).argument('<id>', 'as "anyhop changes" lists it');
  for (const option of answerOptions()) command.addOption(option);
  return command.action(async (id: string, options: ChangeCommandOptions) => {
    const done = await change(path, { id }, options);
    if (done === undefined) return;
    writeOut(options.json ? `${JSON.stringify(done.report)}\n` : drawChange(done.report));
  });
}
