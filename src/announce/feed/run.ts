/** `anyhop announce --feed`, from its start to its end: tells a daemon that reads no kernel table which rows are there. */
import type { Logger } from '../../core/log.js';
import { reasonOf } from '../../core/reason.js';
import { runTool } from '../../core/tool.js';
import type { IpAddress } from '../../packet/address.js';
import { feedExabgp } from './exabgp.js';
import { feedGobgp } from './gobgp.js';
import { readRoutes } from './watch.js';

export interface FeedOptions {
  readonly table: number;
  /** Rows of this metric or more are of a forwarder that drains. */
  readonly drainMetric: number;
}

/** Runs until ExaBGP, which started this process, is gone. */
export async function runExabgpFeed(
  { table, drainMetric, neighbors }: FeedOptions & { readonly neighbors: readonly IpAddress[] },
  log: Logger,
): Promise<void> {
  log.info({ event: 'feeding', daemon: 'exabgp', table }, `ExaBGP is told of the rows of table ${table}`);
  await feedExabgp({
    neighbors,
    answers: process.stdin,
    commands: process.stdout,
    read: () => readRoutes(table, drainMetric),
    failed: failures(log, 'exabgp'),
  });
  log.info({ event: 'stopping', why: 'ExaBGP is gone' }, 'ExaBGP is gone');
}

/** Runs until a signal. @param socket absolute path of the API of gobgpd */
export async function runGobgpFeed(
  { table, drainMetric, socket }: FeedOptions & { readonly socket: string },
  log: Logger,
): Promise<void> {
  const ended = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ended.abort(signal));
  log.info(
    { event: 'feeding', daemon: 'gobgp', table },
    `gobgpd on ${socket} is told of the rows of table ${table}`,
  );
  await feedGobgp(
    { socket, run: runTool, read: () => readRoutes(table, drainMetric), failed: failures(log, 'gobgp') },
    ended.signal,
  );
  const why = String(ended.signal.reason);
  log.info({ event: 'stopping', why }, `ends by ${why}; gobgpd announces on what it was told`);
}

/** Logs a failure when it begins, changes or ends, and not each second. */
function failures(log: Logger, daemon: string): (reason: unknown) => void {
  let before: string | undefined;
  return (reason) => {
    const now = reason === undefined ? undefined : reasonOf(reason);
    if (now === before) return;
    before = now;
    if (now === undefined)
      log.info({ event: 'feed_recovered', daemon }, `${daemon} is told of the rows again`);
    else
      log.warn(
        { event: 'feed_failed', daemon, why: now },
        `${daemon} cannot be told of the rows; it is tried again: ${now}`,
      );
  };
}
