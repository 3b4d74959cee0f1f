/** `anyhop top`: what a node or several do with packets, live. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { AnyhopError } from '../core/errors.js';
import { formatDuration, parseDuration } from '../core/time.js';
import { runTop, staleAfter } from '../top/run.js';
import { chosen, TABLE_NAMES } from '../top/state.js';
import { type Asked, Watcher } from '../top/watcher.js';
import { type FleetView, fleetView } from '../view/fleet.js';
import { type Order, TABLES, type TableName } from '../view/tables.js';
import { ask, findSockets } from './control-client.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeResult } from './output.js';
import { drawTop } from './top-text.js';

const EVERY_MS_MIN = 200;
const EVERY_MS_MAX = 60_000;

interface TopCommandOptions extends ConfigOptions {
  readonly socket?: readonly string[];
  readonly siblings?: true;
  readonly by: TableName;
  readonly sort?: string;
  readonly reverse?: true;
  readonly every: number;
  readonly once?: true;
  readonly json?: true;
}

export function topCommand(): Command {
  return new Command('top')
    .summary('watch what nodes do with packets')
    .description(
      'Shows live what one or several nodes do: what is wrong, traffic by service, backend, verdict or node, who is down and why, and what ' +
        'drains wait for. It only reads.',
    )
    .addOption(
      new Option(
        '--socket <path>',
        "a node's control socket; repeat it for several (default: node.socket of ANYHOP_CONFIG, or those of all nodes that run here)",
      ).argParser((value: string, before: readonly string[] = []) => [...before, value]),
    )
    .option(
      '--siblings',
      'also ask node.siblings of the config file, over TLS with the files of node.metrics',
    )
    .addOption(siblingsConfigOption())
    .addOption(new Option('--by <table>', 'the table shown first').choices(TABLE_NAMES).default('service'))
    .option('--sort <column>', 'the column that it is sorted by')
    .option('--reverse', 'sort the other way round')
    .addOption(
      new Option('--every <duration>', 'how often the nodes are asked').argParser(every).default(1000, '1s'),
    )
    .option('--once', 'print once and end; so it is where standard output is no terminal')
    .option('--json', 'print once, as one JSON object with all tables')
    .addHelpText(
      'after',
      `
Columns:
${TABLE_NAMES.map((name) => `  ${name.padEnd(8)} ${TABLES[name].columns.map(({ id }) => id).join(' ')}`).join('\n')}

Keys: 1 to 4 choose the table, < and > the column it is sorted by, r reverses, / filters, p pauses, ? shows all keys, q quits.
Siblings are asked at their dashboards: --siblings works on a forwarder, and on any host whose certificate their ca_file accepts.
A node that does not answer stays in the picture, marked with the age of its last answer, and comes back by itself.
Colours follow NO_COLOR; every colour stands in words as well. Where TERM is dumb, it prints once.
Exit codes: 0 shown, 1 no node answers, 2 wrong options.

Examples:
  anyhop top
  anyhop top --by backend --sort pps
  anyhop top --socket /run/anyhop/edge-1.sock --socket /run/anyhop/edge-2.sock --by node
  anyhop top --siblings --by node
  anyhop top --json | jq '.troubles[] | select(.level == "bad") | .text'`,
    )
    .action(async (options: TopCommandOptions) => {
      const order = orderOf(options);
      const nodes = await nodesOf(options);
      if (options.once || options.json || !isLive(process.stdout)) {
        const view = await lookOnce(nodes, options.every);
        writeResult(options.json, view, () => drawTop(view, options.by, order));
        return;
      }
      const signal = await runTop(nodes, {
        everyMs: options.every,
        chosen: chosen(options.by, order),
        isColoured: !process.env['NO_COLOR'],
        input: process.stdin,
        output: process.stdout,
      });
      if (signal !== undefined) process.kill(process.pid, signal); // ends as whoever sent it expects
    });
}

function siblingsConfigOption(): Option {
  const option = configOption();
  option.description = 'config file, for --siblings';
  return option;
}

/** By control sockets of this host, and of its siblings those that are not among these. */
async function nodesOf({ socket, siblings, config }: TopCommandOptions): Promise<Asked[]> {
  const here = async (): Promise<Asked[]> => [...new Set(socket ?? (await findSockets()))].map(nodeAt);
  if (!siblings) return here();
  const { siblingsIn } = await import('./top-siblings.js'); // loads TLS
  const others = siblingsIn(config);
  const own = await here().catch((error: AnyhopError) => {
    if (error.code === 'ERR_SOCKET' && others.length > 0) return []; // no node runs here
    throw error;
  });
  const names = new Set(await Promise.all(own.map(nameOf)));
  return [...own, ...others.filter(({ label }) => !names.has(label))];
}

function nodeAt(socket: string): Asked {
  return { label: socket, ask: () => ask(socket, '/status') };
}

/** Undefined while it does not answer. */
async function nameOf({ ask: askIt }: Asked): Promise<string | undefined> {
  try {
    return ((await askIt()) as { node?: string }).node;
  } catch {
    return undefined;
  }
}

async function lookOnce(nodes: readonly Asked[], everyMs: number): Promise<FleetView> {
  const watcher = new Watcher(nodes, everyMs);
  await watcher.once();
  return fleetView(watcher.seen(), Date.now(), { staleAfterMs: staleAfter(everyMs) });
}

/** A terminal that understands where the cursor is to go. */
function isLive({ isTTY }: NodeJS.WriteStream): boolean {
  const { TERM = 'dumb' } = process.env;
  return isTTY && TERM !== 'dumb' && TERM !== '';
}

function orderOf({ by, sort, reverse }: TopCommandOptions): Order {
  const ids = TABLES[by].columns.map(({ id }) => id);
  if (sort !== undefined && !ids.includes(sort))
    throw new AnyhopError('ERR_USAGE', `the table of ${by}s has no column ${sort}`, {
      hint: `It has ${ids.join(', ')}.`,
    });
  return { by: sort ?? TABLES[by].sortedBy, isReversed: reverse === true };
}

function every(text: string): number {
  const ms = parseDuration(text) ?? Number.NaN;
  if (ms >= EVERY_MS_MIN && ms <= EVERY_MS_MAX) return ms;
  throw new InvalidArgumentError(
    `Expected a duration from ${formatDuration(EVERY_MS_MIN)} to ${formatDuration(EVERY_MS_MAX)}, such as 1s.`,
  );
}
