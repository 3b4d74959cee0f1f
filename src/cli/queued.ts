/** `anyhop cancel` and `anyhop force`: drop a change that waits, or put it in force now. */
import { Argument, Command, InvalidArgumentError } from 'commander';
import { answerOptions, type ChangeCommandOptions, changeAndTell } from './change.js';

export function cancelCommand(): Command {
  return queuedCommand('cancel', '/cancel')
    .summary('drop a change that waits')
    .description('Drops one change that waits on a running node. The others keep waiting.')
    .addHelpText(
      'after',
      `
Changes behind it come into force as if it had never been requested. For a drain, undrain or weight, the earlier override stays.
A change from the config file returns with the next reload or restart, unless the file has changed by then.
Exit codes: 0 done, 1 refused or no node answers, 2 wrong usage, such as an unknown id.

Example:
  anyhop changes && anyhop cancel web:3`,
    );
}

export function forceCommand(): Command {
  return queuedCommand('force', '/force')
    .summary('put a change that waits in force now')
    .description(
      'Puts one change that waits on a running node in force now, even if connections break. The others keep waiting.',
    )
    .addHelpText(
      'after',
      `
The settle time starts again, and the other changes wait for its end. --force of drain, undrain and weight skips the wait for a new
change. "anyhop reload --force" puts everything that waits in force.
Exit codes: 0 done, 1 refused or no node answers, 2 wrong usage, such as an unknown id.

Example:
  anyhop changes && anyhop force web:3`,
    );
}

function queuedCommand(name: string, path: '/cancel' | '/force'): Command {
  const id = new Argument('<id>', 'id of the change, from "anyhop changes"').argParser(parseId);
  const command = new Command(name).addArgument(id);
  for (const option of answerOptions()) command.addOption(option);
  return command.action(async (id: string, options: ChangeCommandOptions) => {
    await changeAndTell(path, { id }, options);
  });
}

function parseId(text: string): string {
  if (/^[\w.-]+:[1-9]\d{0,15}$/.test(text)) return text;
  throw new InvalidArgumentError(
    'Expected the id of a change that waits, such as web:3; "anyhop changes" lists them.',
  );
}
