/**
 * The process `anyhop announce`, from its start to its end.
 *
 *   SIGHUP            reads the config again; a wrong one is refused, and the former one stays in force. In a fleet, so does a revision
 *                     that is in force on this host
 *   SIGTERM, SIGINT   ends, and leaves the rows as they are, for the next process to adopt
 */
import { ControlError } from '../api/api.js';
import { serveControl } from '../api/server.js';
import { formatEndpoint } from '../config/endpoint.js';
import { ConfigError, logWarnings } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { Hangups } from '../core/hangups.js';
import type { Logger } from '../core/log.js';
import { releaseMemory } from '../ffi/resident.js';
import { Reloads } from '../metrics/reloads.js';
import { lockTable } from '../underlay/lock.js';
import { Listener } from '../web/listener.js';
import { Announcer } from './announcer.js';
import { type AnnounceActions, announceRoutes, nodeRuns } from './api.js';
import { type Kept, keptPath, readKeptOrHold } from './kept.js';
import { announceTables } from './metrics.js';
import { kernelTable } from './row-keeper.js';
import { requireToChangeRows } from './rows.js';
import type { Follower } from './status.js';
import { removeFormerRows } from './withdraw.js';

/** What is kept of a config: the rest of one with 1,000 services has some MB. */
export type AnnounceLoaded = Pick<LoadedConfig<'announce'>, 'announce' | 'place' | 'warnings'>;

/** After a config was read, until nothing is left to do. */
const AT_REST_MS = 5_000;

/** Calls back when there is another config to read, until the returned function is called. */
export type WatchConfig = (changed: () => void) => () => void;

/** Other parts that go by what is announced. */
export interface Part extends Follower {
  /** Another config is in force. */
  reconfigure?(config: AnnounceLoaded): void;
  close(): Promise<void>;
}

/**
 * Runs until a signal.
 * @param load reads the config, also for a reload
 * @param parts made when the process is the only one of its table
 * @param watch beside SIGHUP
 * @throws ConfigError, AnyhopError when it cannot start
 */
export async function runAnnounce(
  load: () => AnnounceLoaded,
  log: Logger,
  parts: (config: AnnounceLoaded) => Promise<readonly Part[]> = async () => [],
  watch: WatchConfig = () => () => undefined,
): Promise<void> {
  // Before anything else: a signal that comes while it starts must not end it half way.
  const hangups = new Hangups();
  const ended = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  const config = load();
  logWarnings(config.warnings, log);
  const { announce, place } = config;
  requireToChangeRows(announce.table);
  const lock = await lockTable(announce.table);
  try {
    let announcer: Announcer | undefined;
    const control = await serveControl(
      place.socket,
      announceRoutes(() => {
        if (announcer !== undefined) return actionsOf(announcer, place.node);
        throw new ControlError(503, 'ERR_STARTING', 'the announcer starts', {
          hint: 'Ask again in a moment.',
        });
      }),
      log,
      { field: 'announce.socket', taken: 'Another "anyhop announce" runs for this node.' },
    );
    const rest = setTimeout(releaseMemory, AT_REST_MS);
    let followers: readonly Part[] = [];
    let listener: Listener | undefined;
    let unwatch = (): void => undefined;
    try {
      followers = await parts(config);
      const kept = readKeptOrHold(place.socket, (why) => tellUnusable(place.socket, why, log));
      await clearFormerTable(kept, announce.table, log);
      announcer = new Announcer({
        config: announce,
        place,
        log,
        table: kernelTable(announce.table),
        kept,
        followers,
      });
      log.info(
        { event: 'following', node: place.node, table: announce.table, vips: announce.vips.length },
        `following node ${place.node} on ${place.nodeSocket}; rows go to table ${announce.table}`,
      );
      const running = announcer;
      const reloads = new Reloads();
      listener = new Listener(announce.metrics, {
        log,
        collect: () => announceTables(running.status(), reloads),
      });
      const listening = listener;
      const again = (why: string): void => {
        log.info({ event: 'reload', why }, `the config is read again: ${why}`);
        const next = reload(load, config, running, followers, log);
        if (next === undefined) reloads.refused();
        else {
          reloads.accepted();
          listening.use(next.announce.metrics);
        }
        rest.refresh();
      };
      hangups.handle(async () => again('SIGHUP'));
      unwatch = watch(() => again('a revision of the fleet is in force on this host'));
      const why = await ended;
      const rows = running.status().vips.filter(({ metric }) => metric !== undefined).length;
      log.info({ event: 'stopping', why, rows }, rowsStay(rows));
    } finally {
      unwatch();
      await hangups.close();
      clearTimeout(rest);
      await Promise.all([announcer?.close(), listener?.close()]);
      for (const part of followers) await part.close();
      await control.close();
    }
  } finally {
    await lock.release();
  }
}

function rowsStay(rows: number): string {
  if (rows === 0) return 'no VIP is announced';
  return `${rows} ${rows === 1 ? 'row stays' : 'rows stay'} for the next process; "anyhop announce --withdraw" takes them away`;
}

function actionsOf(announcer: Announcer, node: string): AnnounceActions {
  return {
    status: () => announcer.status(),
    withdraw: async (until) => {
      if (until === 'resume') return announcer.hold('withdraw');
      const { state } = announcer.status().heard;
      if (state !== 'gone' && state !== 'left') throw nodeRuns(node);
      return announcer.hold('stop');
    },
    resume: () => announcer.resume(),
  };
}

function tellUnusable(socket: string, why: string, log: Logger): void {
  const file = keptPath(socket);
  log.error({ event: 'state_unusable', file, why }, `${file}: ${why}; rows without a node are withdrawn`);
}

async function clearFormerTable(kept: Kept | undefined, table: number, log: Logger): Promise<void> {
  const { length: rows } = await removeFormerRows(kept, table);
  if (rows === 0) return;
  const message = `removed ${rows} ${rows === 1 ? 'row' : 'rows'} from table ${kept!.table}: announce.table is ${table} now`;
  log.warn({ event: 'rows_moved', rows, table: kept!.table }, message);
}

/** @returns the config that is in force now; undefined when it was refused, and the former one still is */
function reload(
  load: () => AnnounceLoaded,
  before: AnnounceLoaded,
  announcer: Announcer,
  parts: readonly Part[],
  log: Logger,
): AnnounceLoaded | undefined {
  const refuse = (why: string): void =>
    log.error({ event: 'reload_refused', why }, `${why}\nNothing has changed`);
  let config: AnnounceLoaded;
  try {
    config = load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    refuse(error.message);
    return undefined;
  }
  logWarnings(config.warnings, log);
  const fixed = (loaded: AnnounceLoaded): readonly [string, unknown][] => [
    ['announce.table', loaded.announce.table],
    ['announce.socket', loaded.place.socket],
    ['node.socket', loaded.place.nodeSocket],
    ['node.name', loaded.place.node],
    ['announce.track_file', loaded.announce.trackFile],
    ['announce.listen', loaded.announce.listen && formatEndpoint(loaded.announce.listen)],
  ];
  const after = new Map(fixed(config));
  const changed = fixed(before).find(([field, value]) => after.get(field) !== value);
  if (changed !== undefined) {
    const [field, was] = changed;
    refuse(
      `${field} is now ${after.get(field)} instead of ${was}, which takes a restart of "anyhop announce"`,
    );
    return undefined;
  }
  announcer.reconfigure(config.announce);
  for (const part of parts) part.reconfigure?.(config);
  log.info({ event: 'reloaded', vips: config.announce.vips.length }, 'the config is in force');
  return config;
}
