/** `anyhop defend block`, `allow` and `unblock`: what a running node does with some sources, until a time or until it is told otherwise. */
import { Argument, Command, InvalidArgumentError } from 'commander';
import type { BlockReport, DefendReport } from '../api/defend.js';
import { printable } from '../core/printable.js';
import { clockTime, parseDuration } from '../core/time.js';
import type { IpPrefix } from '../packet/address.js';
import { answerOptions, type ChangeCommandOptions, changeOptions } from './change.js';
import { ask, findSocket, Refusal, tell } from './control-client.js';
import { refuseDangers, refuseWide } from './defend-dangers.js';
import { readPrefixes } from './defend-prefixes.js';
import { someOf } from './format.js';
import { writeOut, writeResult } from './output.js';

interface ListOptions extends ChangeCommandOptions {
  readonly for?: number;
  readonly why?: string;
}

type Verb = 'block' | 'allow' | 'unblock';

/** Requests that are under way at once: what a node is told together is compiled together. */
const AT_ONCE = 32;

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
Exit codes: 0 done, 1 refused or no node answers, 2 wrong usage.

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
Exit codes: 0 done, 1 refused or no node answers, 2 wrong usage.

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
      await tellEach('unblock', prefixes, options, (prefix) => ({ prefix }));
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
    await tellEach(verb, prefixes, options, (prefix) => ({ prefix, forMs, why }));
  });
}

function prefixArgument(): Argument {
  return new Argument(
    '<prefix...>',
    'addresses or prefixes; - reads them from standard input, one a line, # comments',
  );
}

interface Refused {
  readonly prefix: string;
  readonly error: Refusal;
}

/** Tells the node of each prefix, prints what became of it, and fails when the node has refused one. @throws as `tell` */
async function tellEach(
  verb: Verb,
  prefixes: readonly IpPrefix[],
  options: ListOptions,
  bodyOf: (prefix: string) => object,
): Promise<void> {
  const socket = options.socket ?? (await findSocket());
  if (verb === 'block' && !options.force) await refuseDangers(socket, prefixes);
  if (verb === 'allow' && !options.force) refuseWide(prefixes);
  const changes: BlockReport[] = [];
  const refused: Refused[] = [];
  for (let i = 0; i < prefixes.length; i += AT_ONCE)
    await Promise.all(
      prefixes.slice(i, i + AT_ONCE).map(async ({ text: prefix }) => {
        try {
          changes.push((await tell(socket, `/defend/${verb}`, bodyOf(prefix))) as BlockReport);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          refused.push({ prefix, error });
        }
      }),
    );
  const told = { changes, refused: refused.map(({ prefix, error }) => ({ prefix, error: error.report })) };
  writeResult(options.json, told, () => drawChanges(verb, changes, refused));
  if (verb !== 'unblock' && !options.json && changes.length > 0)
    writeOut(whereItHolds((await ask(socket, '/defend')) as DefendReport));
  if (refused.length > 0) process.exitCode = refused[0].error.exitCode;
}

/** Lines of each kind that are shown; thousands may come from a file. */
const LINES_MAX = 20;

export function drawChanges(
  verb: Verb,
  changes: readonly BlockReport[],
  refused: readonly Refused[],
  now = new Date(),
): string {
  const lines = [
    ...some(changes.map((change) => printable(drawChange(verb, change, now)))),
    ...some(
      refused.map(({ prefix, error: { message, hint } }) =>
        printable(`${prefix} is REFUSED: ${message}${hint === undefined ? '' : `. ${hint}`}`, 1024),
      ),
    ),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function some(lines: readonly string[]): string[] {
  const left = lines.length - LINES_MAX;
  return left > 1 ? [...lines.slice(0, LINES_MAX), `and ${left} more`] : [...lines];
}

function drawChange(verb: Verb, { prefix, effect, verdict, until }: BlockReport, now: Date): string {
  const end = until === undefined ? 'until it is unblocked' : `until ${clockTime(until, now)}`;
  const word = (verdict ?? verb) === 'allow' ? 'allowed' : 'blocked';
  if (effect === 'removed') return `${prefix} is no longer on the list of this node`;
  if (effect === 'unchanged' && verb === 'unblock') return `${prefix} was not on the list of this node`;
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
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new InvalidArgumentError('Expected a duration such as 10m, 1h or 30d.');
}
