/** `anyhop defend top`: the sources that send most, as the node's sketch of sources has them. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { DefendTopReport, HeavySourceStatus } from '../api/defend.js';
import { short } from '../core/figures.js';
import { formatDuration, parseDuration } from '../core/time.js';
import { ask, findSocket, socketOption } from './control-client.js';
import { aSecond, type Earlier, type Look, look, lookAndWait } from './defend-look.js';
import { columns } from './format.js';
import { between } from './number.js';
import { follow } from './watch.js';

interface TopOptions {
  readonly socket?: string;
  readonly every: number;
  readonly rows: number;
  readonly once?: true;
  readonly json?: true;
}

const EVERY_MS_MIN = 200;
const EVERY_MS_MAX = 60_000;
const ROWS_DEFAULT = 20;
const ROWS_MAX = 1024;
const RIGHT = new Set(['PACKETS/S', 'ABOVE LIMIT/S']);

export function defendTopCommand(): Command {
  return new Command('top')
    .summary('watch the sources that send most')
    .description(
      'Shows, once a second, which sources send most packets to the services of a running node, and how many of these are above the limit of a ' +
        'source. It needs a service with a source_rate, in mode observe too: nothing else counts sources.',
    )
    .addOption(socketOption())
    .addOption(
      new Option('--every <duration>', 'how often the node is asked').argParser(every).default(1000, '1s'),
    )
    .addOption(
      new Option('--rows <number>', 'how many are shown')
        .argParser(between(1, ROWS_MAX))
        .default(ROWS_DEFAULT),
    )
    .option('--once', 'print once and end; so it is where standard output is no terminal')
    .option('--json', 'print once, all of them, as one JSON object')
    .addHelpText(
      'after',
      `
A source is known while it sends much: the counts are of a sketch, which keeps the heaviest it came across, and may be a little too high. What is
above the limit is dropped, or in mode observe would be. A spoofed flood has no heavy source: each address sends a packet or two, and SYN
cookies are what ends it.
Exit codes: 0 shown, 1 no node answers, 2 wrong options.

Examples:
  anyhop defend top
  anyhop defend top --json | jq -r '.sources[] | select(.dropped > 1000) | .source' | anyhop defend block - --for 10m`,
    )
    .action(async ({ socket: named, json, once, rows, every: everyMs }: TopOptions) => {
      const socket = named ?? (await findSocket());
      const isLive = !json && !once && process.stdout.isTTY;
      let before: Look<DefendTopReport> | undefined;
      await follow(isLive ? { watch: everyMs / 1000 } : {}, async () => {
        if (json) return `${JSON.stringify(await ask(socket, '/defend/top'))}\n`;
        before ??= await lookAndWait<DefendTopReport>(socket, '/defend/top');
        const now = await look<DefendTopReport>(socket, '/defend/top');
        const text = drawDefendTop(now.report, rows, {
          report: before.report,
          agoMs: now.atMs - before.atMs,
        });
        before = now;
        return text;
      });
    });
}

interface Sending {
  readonly source: string;
  readonly packetsPerSecond: number;
  readonly abovePerSecond: number;
  readonly scope: string;
}

export function drawDefendTop(
  report: DefendTopReport,
  most: number,
  earlier: Earlier<DefendTopReport>,
): string {
  const sources = sending(report, earlier);
  if (sources.length === 0)
    return 'no source is known: none sends much, or no service has a source_rate (anyhop defend status)\n';
  const shown = sources.slice(0, most);
  const left = sources.length - shown.length;
  return `${[
    ...columns(
      ['SOURCE', 'PACKETS/S', 'ABOVE LIMIT/S', 'COUNTED FOR'],
      shown.map(({ source, packetsPerSecond, abovePerSecond, scope }) => [
        source,
        short(packetsPerSecond),
        short(abovePerSecond),
        scope,
      ]),
      RIGHT,
    ),
    ...(left > 0 ? [`and ${left} more`] : []),
  ].join('\n')}\n`;
}

/** Who sends most, what is above the limit included. */
function sending({ sources }: DefendTopReport, earlier: Earlier<DefendTopReport>): Sending[] {
  const key = ({ source, scope = '' }: HeavySourceStatus): string => `${source} ${scope}`;
  const before = new Map(earlier.report.sources.map((one) => [key(one), one.dropped]));
  return sources
    .map((one) => {
      const abovePerSecond = aSecond(one.dropped - (before.get(key(one)) ?? 0), earlier.agoMs);
      return {
        source: one.source,
        packetsPerSecond: one.packetsPerSecond + abovePerSecond,
        abovePerSecond,
        scope: one.scope ?? 'all services',
      };
    })
    .sort((one, other) => other.packetsPerSecond - one.packetsPerSecond);
}

function every(text: string): number {
  const ms = parseDuration(text) ?? Number.NaN;
  if (ms >= EVERY_MS_MIN && ms <= EVERY_MS_MAX) return ms;
  throw new InvalidArgumentError(
    `Expected a duration from ${formatDuration(EVERY_MS_MIN)} to ${formatDuration(EVERY_MS_MAX)}, such as 1s.`,
  );
}
