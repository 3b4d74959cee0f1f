/** `anyhop status`: shows what a running node forwards, where, and how much. */
import { Command } from 'commander';
import type { EventsReport } from '../api/api.js';
import type { NodeStatus } from '../api/status.js';
import { printable } from '../core/printable.js';
import { announcerBeside } from './announce-place.js';
import { drawAnnounceStatus } from './announce-text.js';
import { ask, findSocket, socketOption } from './control-client.js';
import { secondsBetween } from './number.js';
import { filterStatus, type StatusFilter, withoutUp } from './status-filter.js';
import { drawEvents, drawStatus } from './status-text.js';
import { follow } from './watch.js';

interface StatusOptions extends StatusFilter {
  readonly socket?: string;
  readonly json?: true;
  readonly watch?: number | true;
  readonly events?: true;
}

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
If "anyhop announce" runs beside the node, its state follows (in JSON: announce). One that was killed is named.
Exit codes: 0 shown, 1 no node answers.

Examples:
  anyhop status
  anyhop status --watch 1 --down
  anyhop status --events
  anyhop status --json | jq '.pools[].backends[] | select(.health == "down")'`,
    )
    .action(async (options: StatusOptions) => {
      const socket = options.socket ?? (await findSocket());
      await follow(options, () => look(socket, options));
    });
}

/** The text to print. */
async function look(socket: string, options: StatusOptions): Promise<string> {
  if (options.events) {
    const report = (await ask(socket, '/events')) as EventsReport;
    return options.json ? `${JSON.stringify(report)}\n` : drawEvents(report);
  }
  const whole = (await ask(socket, '/status')) as NodeStatus;
  const status = filterStatus(whole, options);
  const isPart = options.pool !== undefined || options.service !== undefined;
  const beside = isPart ? undefined : await announcerBeside(whole.node, socket);
  const announce = beside && 'status' in beside ? beside.status : undefined;
  if (options.json) {
    const shown = options.down ? withoutUp(status) : status;
    return `${JSON.stringify(announce === undefined ? shown : { ...shown, announce })}\n`;
  }
  const text = drawStatus(status, new Date(), options.down === true);
  if (beside !== undefined && 'left' in beside)
    return `${text}\nno "anyhop announce" answers on ${printable(beside.left)}: what it announced stays as it was\n`;
  return announce === undefined ? text : `${text}\n${drawAnnounceStatus(announce)}`;
}
