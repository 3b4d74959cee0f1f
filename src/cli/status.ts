/** `anyhop status`: shows what a running node forwards, where, and how much. */
import { Command } from 'commander';
import type { EventsReport } from '../api/api.js';
import type { NodeStatus } from '../api/status.js';
import { AnyhopError } from '../core/errors.js';
import { clockTime } from '../core/time.js';
import { ask, findSocket, Refusal, socketOption } from './control-client.js';
import { secondsBetween } from './number.js';
import { HOME, writeControl, writeError, writeOut } from './output.js';
import { filterStatus, type StatusFilter, withoutUp } from './status-filter.js';
import { drawEvents, drawStatus } from './status-text.js';

interface StatusOptions extends StatusFilter {
  readonly socket?: string;
  readonly json?: true;
  readonly watch?: number | true;
  readonly events?: true;
}

const WATCH_SECONDS_DEFAULT = 2;

export function statusCommand(): Command {
  return new Command('status')
    .summary('show the state of a running node')
    .description(
      'Shows the state of a running node: its engine, what is in force, the backends with their next hops, and counters with ' +
        'rates over the last one to two seconds.',
    )
    .addOption(socketOption())
    .option('--json', 'print one JSON object (with --watch one a line)')
    .option('--pool <name>', 'show only this pool and its services')
    .option('--service <name>', 'show only this service and its pool')
    .option('--down', 'show only backends that are not up')
    .option('--events', 'show the events of the last hour instead, as the log has them')
    .option(
      '-w, --watch [seconds]',
      'repeat every so many seconds (default: 2) until interrupted',
      secondsBetween(0.1, 3600),
    )
    .addHelpText(
      'after',
      `
--watch shows the time, and continues while the node is away, such as during a restart.
Two nodes with the same key and the same digest of owners send every flow to the same backend (see anyhop diff).
Exit codes: 0 shown, 1 no node answers.

Examples:
  anyhop status
  anyhop status --watch 1 --down
  anyhop status --events
  anyhop status --json | jq '.pools[].backends[] | select(.health == "down")'`,
    )
    .action(async (options: StatusOptions) => {
      const socket = options.socket ?? (await findSocket());
      const everySeconds = options.watch === true ? WATCH_SECONDS_DEFAULT : options.watch;
      if (everySeconds === undefined) {
        writeOut(await look(socket, options));
        return;
      }
      let last = '';
      for (;;) {
        const time = clockTime(new Date().toISOString());
        try {
          last = await look(socket, options);
          show(options.json ? last : `at ${time}\n${last}`);
        } catch (error) {
          if (last === '' || !isAway(error)) throw error; // the node was never there, or does not have what was asked for
          const away = `at ${time} the node does not answer: ${error.message}\n`;
          if (options.json) writeError(away);
          else show(process.stdout.isTTY ? `${away}Its last answer:\n${last}` : away);
        }
        await new Promise((resolve) => setTimeout(resolve, everySeconds * 1000));
      }
    });
}

function show(text: string): void {
  if (process.stdout.isTTY) writeControl(HOME, process.stdout);
  writeOut(text);
}

/** Whether the node is starting or stopping: it does not answer, or is not ready to. */
function isAway(error: unknown): error is AnyhopError {
  if (error instanceof Refusal) return error.report.code === 'ERR_STARTING';
  return error instanceof AnyhopError && error.code === 'ERR_SOCKET';
}

/** The text to print. */
async function look(socket: string, options: StatusOptions): Promise<string> {
  if (options.events) {
    const report = (await ask(socket, '/events')) as EventsReport;
    return options.json ? `${JSON.stringify(report)}\n` : drawEvents(report);
  }
  const status = filterStatus((await ask(socket, '/status')) as NodeStatus, options);
  if (options.json) return `${JSON.stringify(options.down ? withoutUp(status) : status)}\n`;
  return drawStatus(status, new Date(), options.down === true);
}
