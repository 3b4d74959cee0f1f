/** `anyhop status`: shows what a running node forwards, where, and how much. */
import { Command } from 'commander';
import type { EventsReport } from '../api/api.js';
import type { NodeStatus } from '../api/status.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { printable } from '../core/printable.js';
import { announcerBeside } from './announce-place.js';
import { drawAnnounceStatus } from './announce-text.js';
import { ask, findSocket, isNobodyThere, socketOption } from './control-client.js';
import { filterStatus, type StatusFilter, withoutUp } from './status-filter.js';
import { drawEvents, drawStatus } from './status-text.js';
import { follow, type WatchOptions, watchOptions } from './watch.js';

interface StatusOptions extends StatusFilter, WatchOptions {
  readonly socket?: string;
  readonly events?: true;
  readonly bpffs?: string;
}

export function statusCommand(): Command {
  const [json, watch] = watchOptions();
  return new Command('status')
    .summary('show the state of a running node')
    .description(
      'Shows the state of a running node: its engine, what is in force, the backends with their next hops, and counters with ' +
        'rates over the last one to two seconds.',
    )
    .addOption(socketOption())
    .addOption(json)
    .option('--pool <name>', 'show only this pool and its services')
    .option('--service <name>', 'show only this service and its pool')
    .option('--down', 'show only backends that are not up')
    .option(
      '--bpffs <directory>',
      'where to look for forwarding without a process (default: node.bpffs of ANYHOP_CONFIG, or /sys/fs/bpf)',
    )
    .option('--events', 'show the events of the last hour instead, as the log has them')
    .addOption(watch)
    .addHelpText(
      'after',
      `
--watch shows the time, and continues while the node is away, such as during a restart.
Two nodes with the same key and the same digest of owners send every flow to the same backend (see anyhop diff).
When no node answers, but the engine xdp forwards on in the kernel, its pins are read: counters, rates over a second, services and
backends of the last image. The text begins with NO PROCESS (in JSON: "process": null), and the exit code is 1.
If "anyhop announce" runs beside the node, its state follows (in JSON: announce). One that was killed is named.
Exit codes: 0 shown, 1 no node answers (also when its pins are shown).

Examples:
  anyhop status
  anyhop status --watch 1 --down
  anyhop status --events
  anyhop status --json | jq '.pools[].backends[] | select(.health == "down")'`,
    )
    .action(async (options: StatusOptions) => {
      let socket = options.socket;
      await follow(options, async () => {
        try {
          socket ??= await findSocket();
          return await look(socket, options);
        } catch (error) {
          const left = isNobodyThere(error) ? await lookAtLeft(options) : undefined;
          if (left === undefined) throw error;
          process.exitCode = EXIT.failure;
          return left;
        }
      });
    });
}

/** What the kernel forwards by without a node; undefined when that is nothing, or cannot be seen. */
async function lookAtLeft({ bpffs, json, events }: StatusOptions): Promise<string | undefined> {
  if (events) return undefined;
  const [{ leftStatus }, { drawLeft }] = await Promise.all([
    import('./left-status.js'), // a node that answers needs none of it
    import('./left-text.js'),
  ]);
  let left: Awaited<ReturnType<typeof leftStatus>>;
  try {
    left = await leftStatus(bpffs);
  } catch (error) {
    if (error instanceof AnyhopError) return undefined; // that no node answers matters more
    throw error;
  }
  if (left.length === 0) return undefined;
  return left.map((one) => (json ? `${JSON.stringify(one)}\n` : drawLeft(one))).join('\n');
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
