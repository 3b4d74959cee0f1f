/**
 * What a daemon that reads no kernel table must announce: our rows of a table, read whenever the kernel says that something changed, and
 * once a second besides. Reading needs no privilege, so this works as the daemon's user, and whether or not `anyhop announce` runs.
 */
import { FEED_READ_MS, FEED_SETTLE_MS } from '../../core/limits.js';
import { startMonitor } from '../../underlay/monitor.js';
import { type Row, readRows } from '../rows.js';

/** A VIP and how it is announced. */
export interface Route {
  /** With its full length. */
  readonly prefix: string;
  readonly family: 4 | 6;
  /** The metric of its row. */
  readonly med: number;
  /** It carries the community GRACEFUL_SHUTDOWN. */
  readonly draining: boolean;
}

/** What a table says to announce, by prefix. Of two rows of a VIP, which a change leaves for a moment, the smaller metric counts. */
export function routesOf(rows: readonly Row[], drainMetric: number): Map<string, Route> {
  const routes = new Map<string, Route>();
  for (const { vip, metric } of rows) {
    const prefix = `${vip.text}/${vip.bytes.length * 8}`;
    if ((routes.get(prefix)?.med ?? Number.POSITIVE_INFINITY) <= metric) continue;
    routes.set(prefix, { prefix, family: vip.family, med: metric, draining: metric >= drainMetric });
  }
  return routes;
}

export interface Changes {
  readonly announce: readonly Route[];
  readonly withdraw: readonly Route[];
}

/** What turns the routes that a daemon has into the wanted ones. */
export function changesOf(wanted: ReadonlyMap<string, Route>, present: ReadonlyMap<string, Route>): Changes {
  return {
    withdraw: [...present.values()].filter(({ prefix }) => !wanted.has(prefix)),
    announce: [...wanted.values()].filter((route) => {
      const now = present.get(route.prefix);
      return now === undefined || now.med !== route.med || now.draining !== route.draining;
    }),
  };
}

export interface RowsWatch {
  close(): Promise<void>;
}

/**
 * @param look called at once, soon after each change of the kernel's tables, and once a second; never while it still runs
 */
export function watchTables(look: () => Promise<void>): RowsWatch {
  let isLooking = false;
  let isAskedAgain = false;
  let isClosed = false;
  let soon: NodeJS.Timeout | undefined;
  const start = async (): Promise<void> => {
    if (isClosed) return;
    isAskedAgain = isLooking;
    if (isLooking) return;
    isLooking = true;
    await look();
    isLooking = false;
    if (isAskedAgain) await start();
  };
  // A burst of rows is a burst of lines: they are read together.
  const trigger = (): void => {
    soon ??= setTimeout(() => {
      soon = undefined;
      void start();
    }, FEED_SETTLE_MS);
  };
  const monitor = startMonitor({ changed: (what) => what === 'anything' && trigger(), lost: trigger });
  const timer = setInterval(trigger, FEED_READ_MS);
  trigger();
  return {
    close() {
      isClosed = true;
      clearInterval(timer);
      clearTimeout(soon);
      return monitor.close();
    },
  };
}

/** @throws AnyhopError as `readRows` */
export function readRoutes(table: number, drainMetric: number): Map<string, Route> {
  return routesOf(readRows(table), drainMetric);
}
