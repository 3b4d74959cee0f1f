/** `anyhop changes`: lists the changes that wait on a node, until when, and for what. */
import { Command } from 'commander';
import type { QueuedReport } from '../api/api.js';
import { clockTime } from '../core/time.js';
import { answerOptions } from './change.js';
import { ask, findSocket } from './control-client.js';
import { columns, someOf } from './format.js';
import { writeResult } from './output.js';

export function changesCommand(): Command {
  const command = new Command('changes')
    .summary('list the changes that wait')
    .description(
      'Lists the planned changes that wait on a running node, pool by pool in their order: what each changes, when it comes into ' +
        'force at the latest, and what it waits for.',
    );
  for (const option of answerOptions()) command.addOption(option);
  return command
    .addHelpText(
      'after',
      `
A change keeps its id while it waits. "anyhop cancel ID" drops a change, "anyhop force ID" puts it in force now.
Exit codes: 0 shown, 1 no node answers.

Example:
  anyhop changes --json | jq -r '.changes[].id'`,
    )
    .action(async ({ socket, json }: { readonly socket?: string; readonly json?: true }) => {
      const report = (await ask(socket ?? (await findSocket()), '/changes')) as QueuedReport;
      writeResult(json, report, drawQueue);
    });
}

export function drawQueue({ changes }: QueuedReport, now = new Date()): string {
  if (changes.length === 0) return 'no change waits\n';
  const rows = changes.map(({ id, dueAt, waitsFor, changes: what }) => [
    id,
    clockTime(dueAt, now),
    someOf(waitsFor),
    what.join('; '),
  ]);
  return `${columns(['ID', 'AT THE LATEST', 'WAITS UNTIL', 'CHANGE'], rows).join('\n')}\n`;
}
