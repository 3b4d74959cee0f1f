/**
 * `anyhop simulate`: shows what changes that overlap do to connections (sim/overlaps.ts), or what given events do, under anyhop and
 * under other ways to balance.
 */
import { Command, Option } from 'commander';
import { AnyhopError } from '../core/errors.js';
import { amount, percent } from '../core/figures.js';
import { TABLE_SIZE_DEFAULT } from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import { parseScript, type SimEvent } from '../sim/event.js';
import { type FlowCounts, SILENCE_MS } from '../sim/flows.js';
import { OVERLAP_BACKENDS, OVERLAP_SETTLE_SECONDS, OVERLAPS, playOverlap } from '../sim/overlaps.js';
import { plotReport } from '../sim/plot.js';
import { randomEvents } from '../sim/random-events.js';
import { ANYHOP, ANYHOP_ALONE, PEERS, type Scheme } from '../sim/scheme.js';
import { type SimReport, type SimRow, simulate } from '../sim/simulate.js';
import { columns } from './format.js';
import { between } from './number.js';
import { writeResult } from './output.js';
import { overlapsText } from './overlaps-text.js';
import { saveSvg } from './save-svg.js';
import { FLEET_HELP, type FleetSimulation, fleetOptions, runFleet } from './simulate-fleet.js';

/** Single changes: each settles before the next. */
const SINGLE_EVENTS = `drain web-2, settle, undrain web-2, settle, add web-new, settle, remove web-new, settle,
weight web-3 2, settle, flap web-4 10, settle, lose node-1, wait 10, return node-1, settle, rehash, wait 10,
restart node-1, settle`;

const RANDOM_EVENTS_DEFAULT = 12;

const SILENCE_WHY = 'their packets went to a dead machine, or nowhere';

/** Without --fleet. */
const [NODES, BACKENDS] = [
  { max: 100, value: 3 },
  { max: 1000, value: 10 },
];

interface SimulateOptions extends FleetSimulation {
  readonly fleet?: true;
  readonly events?: string;
  readonly secondChance: 'on' | 'off';
}

export function simulateCommand(): Command {
  const command = new Command('simulate')
    .summary('simulate drains, failures and lost forwarders, and count the connections that break')
    .description(
      'Simulates forwarders, backends and TCP connections with the tables, the keys and the memory of real nodes. Without --events it ' +
        `plays changes that overlap against ${OVERLAP_BACKENDS.join(', ')} backends, and prints the share of connections that break though their ` +
        'backend lives. With --events it counts the connections that each event breaks, compared with plain Maglev, rendezvous and ' +
        'modulo hashing. With --fleet it plays an hour of a large fleet with a store.',
    )
    .option('--events <script>', 'the events (see below), or single, or random, or random:COUNT')
    .addOption(number('--seed <number>', 'chooses the connections and random events', 1, 0, 0xffffffff))
    .option(
      '--fleet',
      'up to 1000 nodes and 10000 backends with a store: churn, late nodes, partitions, lost checks',
    )
    .addOption(
      new Option(
        '--nodes <count>',
        'forwarders, named node-1 and so on (default: 3; of --fleet: 100)',
      ).argParser(between(1, 1000)),
    )
    .addOption(number('--flows <count>', 'connections open at any moment', 10_000, 1, 1_000_000))
    .addOption(
      new Option(
        '--backends <count>',
        'at the start: web-1 and so on (default: 10 of --events, 1000 of --fleet)',
      ).argParser(between(1, 10_000)),
    )
    .addOption(number('--settle <seconds>', 'of --events and --fleet: settle time', 60, 1, 100_000))
    .addOption(
      new Option(
        '--lifetime <seconds>',
        'of --events and --fleet: longest life of a connection (default: the settle time)',
      ).argParser(between(1, 100_000)),
    )
    .addOption(
      new Option(
        '--second-chance <mode>',
        'of --events: whether agents send packets without a socket to the alternates',
      )
        .choices(['on', 'off'])
        .default('on'),
    )
    .addOption(
      new Option(
        '--views <whose>',
        'of --events and --fleet: whose views of the backends nodes go by, as fleet.views says',
      )
        .choices(['own', 'quorum'])
        .default('own'),
    )
    .option('--svg <file>', 'of --events and --fleet: also draw the result')
    .option('--json', 'print one JSON object');
  for (const option of fleetOptions()) command.addOption(option);
  return command
    .addHelpText(
      'after',
      `
Events are separated by commas:
  drain NAME, undrain NAME, add NAME [WEIGHT], remove NAME, weight NAME WEIGHT   a change of the config on all nodes;
                               a third waits while two settle or drain, unless "force" precedes it
  down NAME [on NODE], up NAME [on NODE]    what all nodes see, or one; the backend keeps working
  flap NAME SECONDS [on NODE]  down, wait, up
  crash NAME, recover NAME     the machine dies with its connections, or returns; health marks do not change by themselves
  lose NODE, return NODE       the router removes a forwarder from its next hops, or adds it again
  restart NODE                 the process of a forwarder restarts and keeps its memory
  cut NODE, rejoin NODE        with --views quorum: a forwarder neither tells the others what it sees nor hears it, or does again
  rehash                       the router spreads all connections over the forwarders in a new way
  wait SECONDS                 time passes before the next event
  settle                       wait until nothing is queued and nothing has changed for a settle time; so do the nodes at the end
"single" stands for one change after the other, each of which settles before the next.
Every connection sends all the time, so a connection that can break does. It breaks when its packet reaches a live backend
without a socket for it, after the second and the third hop if there are such. The client then connects again, and can break again.
A connection that gets no answer for more than ${formatDuration(SILENCE_MS)}, because its packets go to a dead machine or nowhere, counts below the
table (JSON: silent), once, even if it is answered later. Connections that die with their machine count as neither.
A connection may break when it lives longer than the settle time after its slot moved (try --lifetime 300), or when three changes
overlap.
${FLEET_HELP}

Examples:
  anyhop simulate
  anyhop simulate --events single --backends 100 --svg broken.svg
  anyhop simulate --events 'drain web-1, wait 5, flap web-2 10'
  anyhop simulate --events 'drain web-1, wait 5, drain web-2, wait 5, force drain web-3'   # three at a time: some break
  anyhop simulate --events 'down web-1 on node-1, rehash' --views quorum --second-chance off   # one node alone: none breaks
  anyhop simulate --events random:20 --seed 7 --json
  anyhop simulate --fleet --nodes 1000 --backends 10000 --svg fleet.svg
  anyhop simulate --fleet --partitions 0 --loss 0 --late 5 --views quorum`,
    )
    .action(runEither);
}

/** Options that are not of all three. */
const OF = {
  neither: ['seed', 'nodes', 'flows', 'json'],
  '--events': ['backends', 'settle', 'lifetime', 'secondChance', 'views', 'svg'],
  '--fleet': [
    'backends',
    'settle',
    'lifetime',
    'views',
    'svg',
    ...fleetOptions().map((one) => one.attributeName()),
  ],
} as const;

async function runEither(options: SimulateOptions, command: Command): Promise<void> {
  const { events, fleet } = options;
  if (fleet && events !== undefined) throw new AnyhopError('ERR_USAGE', '--fleet takes no --events');
  const mode = fleet ? '--fleet' : events === undefined ? 'neither' : '--events';
  refuseOthers(mode, command);
  if (fleet) await runFleet(options);
  else if (events !== undefined) await run({ ...bounded(options), events });
  else runOverlaps(bounded(options));
}

/** @throws AnyhopError ERR_USAGE for an option of another kind of simulation */
function refuseOthers(mode: keyof typeof OF, command: Command): void {
  const given = command.options.filter(
    (option) =>
      command.getOptionValueSource(option.attributeName()) === 'cli' &&
      !['fleet', 'events', ...OF.neither, ...OF[mode]].includes(option.attributeName()),
  );
  if (given.length === 0) return;
  const modes = (['--events', '--fleet'] as const).filter((each) =>
    given.every((option) => (OF[each] as readonly string[]).includes(option.attributeName())),
  );
  throw new AnyhopError(
    'ERR_USAGE',
    `${given.map(({ long }) => long).join(', ')}: only with ${modes.join(' or ') || 'others'}`,
    { hint: '`--events single` plays one change after the other; `--fleet` an hour of a large fleet.' },
  );
}

interface SmallOptions extends SimulateOptions {
  readonly nodes: number;
  readonly backends: number;
}

/** @throws AnyhopError ERR_USAGE when there are too many */
function bounded(given: SimulateOptions): SmallOptions {
  const { nodes = NODES.value, backends = BACKENDS.value } = given;
  if (nodes <= NODES.max && backends <= BACKENDS.max) return { ...given, nodes, backends };
  throw new AnyhopError(
    'ERR_USAGE',
    `without --fleet, at most ${amount(NODES.max, 'node')} and ${amount(BACKENDS.max, 'backend')}`,
    { hint: '`--fleet` takes up to 1000 nodes and 10000 backends.' },
  );
}

type EventsOptions = SmallOptions & { readonly events: string };

function runOverlaps({ json, seed, nodes, flows }: SmallOptions): void {
  const options = { seed, nodes, flows, settleSeconds: OVERLAP_SETTLE_SECONDS };
  const overlaps = OVERLAPS.map((overlap) => playOverlap(overlap, options));
  writeResult(json, { ...options, overlaps }, () => overlapsText(overlaps, options));
}

async function run(options: EventsOptions): Promise<void> {
  const { seed, backends, nodes, flows, views, svg } = options;
  const settleMs = options.settle * 1000;
  const schemes = [...(options.secondChance === 'on' ? [ANYHOP] : []), ANYHOP_ALONE, ...PEERS];
  const report = simulate({
    seed,
    backends,
    nodes,
    flows,
    slots: TABLE_SIZE_DEFAULT,
    settleMs,
    views,
    lifetimeMs: options.lifetime === undefined ? settleMs : options.lifetime * 1000,
    tickMs: settleMs / 30,
    events: [...eventsOf(options, settleMs), { kind: 'settle' }],
    schemes,
  });
  if (svg !== undefined) saveSvg(svg, await plotReport(report, schemes));
  writeResult(options.json, { seed, ...report }, () => describe(report, schemes, options));
}

function eventsOf({ events, seed, backends, nodes }: EventsOptions, settleMs: number): SimEvent[] {
  if (events === 'single') return parseScript(SINGLE_EVENTS);
  const [, count] = /^random(?::([1-9]\d{0,3}))?$/.exec(events) ?? [];
  if (!events.startsWith('random')) return parseScript(events);
  if (count === undefined && events !== 'random') {
    throw new AnyhopError('ERR_USAGE', `--events ${events}: random:COUNT takes a number from 1 to 9999`);
  }
  return randomEvents(seed, Number(count ?? RANDOM_EVENTS_DEFAULT), { backends, nodes, settleMs });
}

function describe(report: SimReport, schemes: readonly Scheme[], options: EventsOptions): string {
  const titles = schemes.map(({ title }) => title);
  const cell = (row: SimRow, { name }: Scheme): string => {
    const { broken } = row.counts[name];
    return broken === 0 ? '0' : `${broken} (${percent(broken / report.flows)})`;
  };
  const rows = report.rows.slice(1).map((row) => {
    const at = `${Number((row.atMs / 1000).toFixed(1))}`;
    return [at, row.event, ...schemes.map((scheme) => cell(row, scheme))];
  });
  const totals = schemes.map((scheme) => total(report, scheme));
  const silent = schemes.map((scheme) => sum(report, scheme, 'silent'));
  const closing = [['', 'all', ...totals.map(String)]];
  if (silent.some((count) => count > 0)) {
    closing.push(['', `no answer for ${formatDuration(SILENCE_MS)}`, ...silent.map(String)]);
  }
  const table = columns(['s', 'event', ...titles], [...rows, ...closing], new Set(['s', ...titles]));
  const fleet = [
    amount(options.backends, 'backend'),
    amount(options.nodes, 'node'),
    `${report.flows} connections open at any moment`,
    `settle time ${formatDuration(options.settle * 1000)}`,
    `seed ${options.seed}`,
  ].join(', ');
  return `${fleet}\nConnections broken by each event, and until the next:\n\n${table.join('\n')}\n\n${sentence(report, schemes)}\n`;
}

function sentence(report: SimReport, [first]: readonly Scheme[]): string {
  const [broken, silent, died] = [
    total(report, first),
    sum(report, first, 'silent'),
    sum(report, first, 'died'),
  ];
  const unheard = `${amount(silent, 'connection')} got no answer for ${formatDuration(SILENCE_MS)}: ${SILENCE_WHY}.`;
  const lost = died === 0 ? '' : ` ${amount(died, 'connection')} died with the machine that they were on.`;
  if (first.alternates === 0)
    return `Without second chance, every connection whose slot moves is broken.${silent === 0 ? '' : ` ${unheard}`}${lost}`;
  const hops = amount(sum(report, first, 'secondHops'), 'packet');
  const kept = `${hops} took a second hop.${lost}`;
  if (broken > 0)
    return `With second chance anyhop broke ${amount(broken, 'connection')}: three changes overlapped, or connections outlived the settle time. ${silent === 0 ? '' : `${unheard} `}${kept}`;
  return silent > 0
    ? `With second chance anyhop reset no connection, but ${unheard} ${kept}`
    : `With second chance anyhop broke no connection; ${kept}`;
}

function total(report: SimReport, scheme: Scheme): number {
  return sum(report, scheme, 'broken');
}

function sum(report: SimReport, { name }: Scheme, what: keyof FlowCounts): number {
  return report.rows.reduce((all, { counts }) => all + counts[name][what], 0);
}

function number(flags: string, description: string, value: number, min: number, max: number): Option {
  return new Option(flags, description).argParser(between(min, max)).default(value);
}
