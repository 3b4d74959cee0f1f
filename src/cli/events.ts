/** `anyhop events`: what a node went through in the last day, also when it does not run any more. */
import { Command, Option } from 'commander';
import { AnyhopError } from '../core/errors.js';
import { EVENTS_KEPT_MS } from '../core/limits.js';
import { EVENT_LEVELS, type EventsReport, type NodeEvent } from '../events/event.js';
import { findSocket, socketOption } from './control-client.js';
import { type EventsFilter, isWanted, parseNames, parseSince } from './events-filter.js';
import { askEvents, findEvents, type SourceOptions } from './events-source.js';
import { drawEvent, drawMeanings } from './events-text.js';
import { writeError, writeOut } from './output.js';

const FOLLOW_EVERY_MS = 1_000;

/** Options that take a node which runs. */
const ASKING = ['socket', 'follow'];

interface EventsOptions extends EventsFilter, SourceOptions {
  readonly since?: number;
  readonly follow?: true;
  readonly explain?: true;
  readonly json?: true;
}

export function eventsCommand(): Command {
  return new Command('events')
    .summary('show what a node went through in the last day')
    .description(
      'Shows the events of a node in the last day, the oldest first: backends that went up or down, changes, reloads that were refused, ' +
        'starts and ends of its process. It asks the node; when none answers, it reads the files that the node left in node.state_dir.',
    )
    .option(
      '--since <time>',
      'from then on: 2h, 12:05 or "2024-05-01 12:05" (default: the last day)',
      (text) => parseSince(text),
    )
    .addOption(
      new Option('--level <level>', 'this level and those above').choices(EVENT_LEVELS).default('info'),
    )
    .option('--event <names>', 'only these events, with commas between', parseNames)
    .option('--grep <text>', 'only events that contain this text, in any case')
    .option('-f, --follow', 'continue with new events until interrupted')
    .option('--explain', 'say below what the names of the events mean')
    .addOption(socketOption())
    .addOption(
      new Option('--state-dir <directory>', 'read the files in this directory, and ask no node').conflicts(
        ASKING,
      ),
    )
    .addOption(
      new Option('--name <node>', 'of several nodes with files in one directory; asks no node').conflicts(
        ASKING,
      ),
    )
    .option('--json', 'print one JSON object a line: at, level, event, message')
    .addHelpText(
      'after',
      `
A kept event has the time, level, name and text of a line of the log. Names are stable, texts are not. Counters and new images are left
out. Files have a bounded size; when more happens than they take, an event says how many are in the log alone.
"process_started" says when no end of the process before it is kept, as after a kill.
Exit codes: 0 shown (also when there are none), 1 neither a node nor files answer, 2 wrong usage.

Examples:
  anyhop events --since 2h --level warn
  anyhop events --event health,next_hop --grep web-2
  anyhop events --follow
  anyhop events --since 03:00 --explain
  anyhop events --state-dir /var/lib/anyhop --name edge-1     # of a node that is gone
  anyhop events --json | jq -r 'select(.event == "health") | .message'`,
    )
    .action(show);
}

async function show(options: EventsOptions): Promise<void> {
  const sinceMs = options.since ?? Date.now() - EVENTS_KEPT_MS;
  const { events, notes, report } = await findEvents(options, sinceMs);
  for (const each of notes) note(each);
  const wanted = events.filter((event) => isWanted(event, options));
  print(wanted, options);
  if (wanted.length === 0 && options.follow !== true) note('no such event is kept');
  if (options.explain && !options.json) writeOut(drawMeanings(wanted));
  if (options.follow) await followEvents(options, { report, sinceMs, shownMs: lastMs(events) });
}

interface Shown {
  /** The one that was shown; undefined when files were. */
  readonly report: EventsReport | undefined;
  /** What was asked for. */
  readonly sinceMs: number;
  /** The newest time shown. */
  readonly shownMs: number;
}

/** Never ends. */
async function followEvents(
  options: EventsOptions,
  { report, sinceMs, shownMs: firstMs }: Shown,
): Promise<void> {
  let last = report;
  let shownMs = Math.max(sinceMs, firstMs);
  let socket = options.socket;
  let isAway = false;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
    try {
      socket ??= await findSocket(); // another node may start here later
      // Of one process, numbers alone say what is new: its clock may be set back.
      const next = await askEvents(socket, { sinceMs, after: last?.newest });
      const isSame = next.pid === last?.pid && next.started === last?.started;
      // A new process counts anew, and begins with what is shown already.
      const fresh = isSame
        ? next.events
        : (await askEvents(socket, { sinceMs: shownMs })).events.filter(({ at }) => Date.parse(at) > shownMs);
      if (isAway) note('the node answers again');
      isAway = false;
      last = next;
      shownMs = Math.max(shownMs, lastMs(fresh));
      print(
        fresh.filter((event) => isWanted(event, options)),
        options,
      );
    } catch (error) {
      if (!(error instanceof AnyhopError) || error.code !== 'ERR_SOCKET') throw error;
      if (!isAway) note(`the node does not answer, and is waited for: ${error.message}`);
      isAway = true;
    }
  }
}

function print(events: readonly NodeEvent[], { json }: EventsOptions): void {
  const now = new Date();
  writeOut(events.map((event) => (json ? `${JSON.stringify(event)}\n` : drawEvent(event, now))).join(''));
}

function lastMs(events: readonly NodeEvent[]): number {
  return events.reduce((most, { at }) => Math.max(most, Date.parse(at)), 0);
}

function note(text: string): void {
  writeError(`anyhop: ${text}\n`);
}
