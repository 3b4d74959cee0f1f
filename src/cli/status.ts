/** `anyhop status`: what a running node forwards, to whom, and how much. */
import { Command, InvalidArgumentError } from 'commander';
import type { NodeStatus } from '../control/status.js';
import { ask, findSocket, socketOption } from './control-client.js';
import { drawStatus } from './status-text.js';

interface StatusOptions {
  readonly socket?: string;
  readonly json?: true;
  readonly watch?: number | true;
}

const WATCH_SECONDS_DEFAULT = 2;
/** Cursor to the top left, and erase to the end of the screen (ECMA-48). */
const HOME = '\x1b[H\x1b[J';

export function statusCommand(): Command {
  return new Command('status')
    .summary('show what a running node does')
    .description(
      'Asks a running node: its engine, what is in force, the backends with their next hops, and counters with rates ' +
        'over the last one to two seconds.',
    )
    .addOption(socketOption())
    .option('--json', 'print one JSON object (with --watch one a line)')
    .option(
      '-w, --watch [seconds]',
      'go on until interrupted, every so many seconds (2 when left out)',
      seconds,
    )
    .addHelpText(
      'after',
      `
Two nodes of one key that show the same digest of owners send every flow to the same backend (anyhop diff).
Exit codes: 0 shown, 1 no node answers.

Examples:
  anyhop status
  anyhop status --watch 1
  anyhop status --json | jq '.pools[].backends[] | select(.health == "down")'`,
    )
    .action(async (options: StatusOptions) => {
      const socket = options.socket ?? (await findSocket());
      const everySeconds = options.watch === true ? WATCH_SECONDS_DEFAULT : options.watch;
      for (;;) {
        const status = (await ask(socket, '/status')) as NodeStatus;
        const clear = everySeconds !== undefined && process.stdout.isTTY ? HOME : '';
        process.stdout.write(options.json ? `${JSON.stringify(status)}\n` : `${clear}${drawStatus(status)}`);
        if (everySeconds === undefined) return;
        await new Promise((resolve) => setTimeout(resolve, everySeconds * 1000));
      }
    });
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0.1 && value <= 3600)) throw new InvalidArgumentError('expected seconds, 0.1 to 3600');
  return value;
}
