/** `anyhop defend block`, `allow` and `unblock`: what a running node does with some sources, until a time or until it is told otherwise. */
import { Argument, Command, InvalidArgumentError } from 'commander';
import type { BlockChange, BlockReport, DefendReport } from '../api/defend.js';
import { LISTED_AT_ONCE_MAX, LISTED_FOR_MS_MAX, LISTED_FOR_MS_MIN } from '../core/limits.js';
import { printable } from '../core/printable.js';
import { clockTime, formatDuration, parseDuration } from '../core/time.js';
import type { IpPrefix } from '../packet/address.js';
import { answerOptions, type ChangeCommandOptions, changeOptions } from './change.js';
import { ask, findSocket, Refusal, tell } from './control-client.js';
import { refuseDangers, refuseWide } from './defend-dangers.js';
import { readPrefixes } from './defend-prefixes.js';
import { someOf } from './format.js';
import { writeOut } from './output.js';

interface ListOptions extends ChangeCommandOptions {
  readonly for?: number;
  readonly why?: string;
}

const DAY_MS = 86_400_000;

type Verb = 'block' | 'allow' | 'unblock';

export function defendBlockCommand(): Command {
  return listCommand(
    'block',
    'take prefixes that hold addresses of the fleet, or a large part of the Internet',
  )
    .summary('drop what some sources send to the services')
    .description(
      'Drops what the sources send to the services of a running node, from now on, whatever the limits say. It is kept over restarts, until ' +
        '--for is over or "anyhop defend unblock".',
    )
    .addHelpText(
      'after',
      `
The longest prefix decides, here and in the lists of the config file; of the same one, allow wins over block, and the last command over the one
before. It changes one node: run it on each, or put the prefix into a list of the config file.
Refused without --force: prefixes that hold a backend, a forwarder, this host or the host that you are logged in from, and very wide ones.
Only packets for services are touched: nobody loses a login by it.
In mode observe, the node counts what it would drop. Services with mode: off have no lists. A line says so.
Exit codes: 0 done, 1 the node refuses or does not answer, 2 wrong usage, or refused without --force.

Examples:
  anyhop defend block 198.51.100.0/24 --for 10m --why 'SYN flood'
  anyhop defend block 192.0.2.7 2001:db8:7::/48
  anyhop defend top --json | jq -r '.sources[:10][].source' | anyhop defend block - --for 1h`,
    );
}

export function defendAllowCommand(): Command {
  return listCommand('allow', 'take prefixes that are a large part of the Internet')
    .summary('spare some sources the lists and the limits of sources')
    .description(
      'Spares the sources what the lists block around them and the limits of sources, on a running node. The rate of a service and SYN cookies ' +
        'hold for them as for all. It is kept over restarts, until --for is over or "anyhop defend unblock".',
    )
    .addHelpText(
      'after',
      `
The longest prefix decides: allow a monitor of a blocked network by its address. It changes one node: run it on each.
Exit codes: 0 done, 1 the node refuses or does not answer, 2 wrong usage, or refused without --force.

Example:
  anyhop defend allow 198.51.100.77 --why 'our monitor'`,
    );
}

export function defendUnblockCommand(): Command {
  const command = new Command('unblock').addArgument(prefixArgument());
  for (const option of answerOptions()) command.addOption(option);
  return command
    .summary('take back what block and allow have said of some sources')
    .description(
      'Takes back what "anyhop defend block" or "anyhop defend allow" has said of exactly these prefixes. Lists of the config file stay as they are.',
    )
    .addHelpText(
      'after',
      `
"anyhop defend status" lists what can be taken back. A prefix of the config file ends with its line there.
Exit codes: 0 done, also where nothing was said of a prefix; 1 refused or no node answers, 2 wrong usage.

Example:
  anyhop defend unblock 198.51.100.0/24`,
    )
    .action(async (words: string[], options: ListOptions) => {
      const prefixes = await readPrefixes(words, process.stdin);
      await change('unblock', prefixes, options, {});
    });
}

function listCommand(verb: 'block' | 'allow', force: string): Command {
  const command = new Command(verb)
    .addArgument(prefixArgument())
    .option('--for <duration>', 'end after so long: 10m, 1h, 30d (default: when it is unblocked)', duration)
    .option('--why <text>', 'a note for whoever reads the status: a ticket, a reason');
  for (const option of changeOptions(force)) command.addOption(option);
  return command.action(async (words: string[], options: ListOptions) => {
    const prefixes = await readPrefixes(words, process.stdin);
    const { for: forMs, why } = options;
    await change(verb, prefixes, options, { forMs, why });
  });
}

function prefixArgument(): Argument {
  return new Argument(
    '<prefix...>',
    'addresses or prefixes; - reads them from standard input, one a line, # comments',
  );
}

/** Tells the node of the prefixes, and prints what became of them. @throws as `tell`; what was changed before is printed */
async function change(
  verb: Verb,
  prefixes: readonly IpPrefix[],
  options: ListOptions,
  said: object,
): Promise<void> {
  const socket = options.socket ?? (await findSocket());
  if (verb === 'block' && !options.force) await refuseDangers(socket, prefixes);
  if (verb === 'allow' && !options.force) refuseWide(prefixes);
  const { report, refused } = await tellAll(socket, verb, prefixes, said);
  if (options.json) {
    writeOut(`${JSON.stringify({ ...report, ...(refused !== undefined && { error: refused.report }) })}\n`);
    if (refused !== undefined) process.exitCode = refused.exitCode;
    return;
  }
  writeOut(drawChanges(verb, report));
  if (verb !== 'unblock' && report.changes.length > 0)
    writeOut(whereItHolds((await ask(socket, '/defend')) as DefendReport));
  if (refused !== undefined) throw refused;
}

/** As many at once as a request takes; what a node is told at the same time comes into force together. */
async function tellAll(
  socket: string,
  verb: Verb,
  prefixes: readonly IpPrefix[],
  said: object,
): Promise<{ readonly report: BlockReport; readonly refused: Refusal | undefined }> {
  const texts = prefixes.map(({ text }) => text);
  const parts = Array.from({ length: Math.ceil(texts.length / LISTED_AT_ONCE_MAX) }, (_, i) =>
    texts.slice(i * LISTED_AT_ONCE_MAX, (i + 1) * LISTED_AT_ONCE_MAX),
  );
  const reports: BlockReport[] = [];
  let refused: Refusal | undefined;
  await Promise.all(
    parts.map(async (some) => {
      try {
        reports.push((await tell(socket, `/defend/${verb}`, { prefixes: some, ...said })) as BlockReport);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refused ??= error;
      }
    }),
  );
  const changes = reports.flatMap((report) => report.changes);
  return { report: { changes, warnings: reports[0]?.warnings ?? [] }, refused };
}

/** Lines of each kind that are shown; thousands may come from a file. */
const LINES_MAX = 20;

export function drawChanges(verb: Verb, { changes, warnings }: BlockReport, now = new Date()): string {
  const left = changes.length - LINES_MAX;
  const shown = left > 1 ? changes.slice(0, LINES_MAX) : changes;
  const lines = [
    ...shown.map((change) => drawChange(verb, change, now)),
    ...(left > 1 ? [`and ${left} more`] : []),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  return lines.map((line) => `${printable(line, LINE_CHARS_MAX)}\n`).join('');
}

/** Of a warning with a path. */
const LINE_CHARS_MAX = 1024;

function drawChange(verb: Verb, { prefix, effect, verdict, until }: BlockChange, now: Date): string {
  const end = until === undefined ? 'until it is unblocked' : `until ${clockTime(until, now)}`;
  const word = (verdict ?? verb) === 'allow' ? 'allowed' : 'blocked';
  if (effect === 'removed') return `${prefix} is no longer on the list of this node`;
  if (effect === 'unchanged' && verb === 'unblock')
    return `${prefix} was neither blocked nor allowed at runtime; lists of the config file stay as they are`;
  return effect === 'unchanged' ? `${prefix} is ${word} already, ${end}` : `${prefix} is ${word} ${end}`;
}

/** Services for which the lists do less than one expects; nothing when they drop for all that have rules. */
export function whereItHolds({ mode, services }: DefendReport): string {
  const withLists = services.filter(({ lists }) => lists !== 'off');
  if (withLists.length === 0)
    return `no service of this node uses the lists${mode === 'off' ? ', since its config has no section defend, or mode: off' : ''}: nothing is dropped\n`;
  const observed = withLists.filter(({ lists }) => lists === 'observe').map(({ name }) => name);
  if (observed.length === 0) return '';
  const which = observed.length === services.length ? '' : ` for ${someOf(observed)}`;
  return `in mode observe${which}: what it would drop is counted, and passes\n`;
}

function duration(text: string): number {
  const ms = parseDuration(text) ?? Number.NaN;
  if (ms >= LISTED_FOR_MS_MIN && ms <= LISTED_FOR_MS_MAX) return ms;
  const [least, most] = [formatDuration(LISTED_FOR_MS_MIN), `${LISTED_FOR_MS_MAX / DAY_MS}d`];
  throw new InvalidArgumentError(`Expected a duration from ${least} to ${most}, such as 10m, 1h or 30d.`);
}
