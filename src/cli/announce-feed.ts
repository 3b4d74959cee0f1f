/** `anyhop announce --feed`: tells a daemon that reads no kernel table which rows are there. It needs no config file and no privilege. */
import { InvalidArgumentError, Option } from 'commander';
import type { Neighbor } from '../announce/print/options.js';
import { AnyhopError } from '../core/errors.js';
import {
  ANNOUNCE_DRAIN_METRIC_DEFAULT,
  ANNOUNCE_TABLE_DEFAULT,
  GOBGP_SOCKET_DEFAULT,
  ROUTE_METRIC_MAX,
  ROUTE_TABLE_MAIN,
  ROUTE_TABLE_MAX,
} from '../core/limits.js';
import { createLog, type LogLevel } from '../core/log.js';
import { between } from './number.js';

/** The values of `feedOptions`, by the names that commander gives them, and one of `printOptions`. */
export interface FeedValues {
  readonly feed: 'exabgp' | 'gobgp';
  readonly table?: number;
  readonly drainMetric?: number;
  readonly gobgpSocket?: string;
  readonly neighbor?: readonly Neighbor[];
}

export function feedOption(): Option {
  return new Option(
    '--feed <daemon>',
    'tell a daemon that reads no kernel table of the rows; its printed config says how',
  ).choices(['exabgp', 'gobgp']);
}

/** Those that go with --feed. */
export function feedOptions(): Option[] {
  return [
    new Option('--table <table>', `announce.table; default: ${ANNOUNCE_TABLE_DEFAULT}`).argParser((text) =>
      text === 'main' ? ROUTE_TABLE_MAIN : between(1, ROUTE_TABLE_MAX)(text),
    ),
    new Option(
      '--drain-metric <n>',
      `announce.drain_metric; default: ${ANNOUNCE_DRAIN_METRIC_DEFAULT}`,
    ).argParser(between(1, ROUTE_METRIC_MAX)),
    new Option('--gobgp-socket <path>', `the API of gobgpd; default: ${GOBGP_SOCKET_DEFAULT}`).argParser(
      (text) => {
        if (/^\/[!-~]+$/.test(text)) return text;
        throw new InvalidArgumentError('Expected an absolute path.');
      },
    ),
  ].map((option) => option.helpGroup('With --feed:'));
}

/**
 * Runs until ExaBGP is gone, or, for gobgpd, until a signal.
 * @throws AnyhopError ERR_USAGE for options that are missing or do not fit
 */
export async function feedDaemon(values: FeedValues, logLevel: LogLevel): Promise<void> {
  const { feed, table = ANNOUNCE_TABLE_DEFAULT, drainMetric = ANNOUNCE_DRAIN_METRIC_DEFAULT } = values;
  const { neighbor, gobgpSocket } = values;
  const log = createLog(logLevel);
  if (feed === 'exabgp') {
    if (neighbor === undefined)
      throw usage('--neighbor is missing', 'Give it once for each neighbour of ExaBGP.');
    if (gobgpSocket !== undefined)
      throw usage('--gobgp-socket means nothing with --feed exabgp', 'Leave it out.');
    const { runExabgpFeed } = await import('../announce/feed/run.js');
    const neighbors = neighbor.map(({ address }) => address);
    await runExabgpFeed({ table, drainMetric, neighbors }, log);
    return;
  }
  if (neighbor !== undefined)
    throw usage('--neighbor means nothing with --feed gobgp', 'Leave it out: gobgpd tells all neighbours.');
  const { runGobgpFeed } = await import('../announce/feed/run.js');
  await runGobgpFeed({ table, drainMetric, socket: gobgpSocket ?? GOBGP_SOCKET_DEFAULT }, log);
}

function usage(message: string, hint: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', message, { hint });
}
