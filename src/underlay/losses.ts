/** Logs the packets that a driver or a ring lost, whenever there are more than before. */
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import type { DriverStatistics } from './driver-statistics.js';
import { SEND_HINT } from './veth.js';

/** Interval of looks. */
const LOSSES_MS = 10_000;

/**
 * Logs until the returned function is called.
 * @param fields of each log line
 */
export function watchLosses(
  read: () => Promise<DriverStatistics>,
  log: Logger,
  fields: Readonly<Record<string, unknown>> = {},
): () => void {
  const logged = { sendFailed: 0, missed: 0 };
  const look = async (): Promise<void> => {
    const { sendFailed, missed } = await read();
    // NaN is not more than anything.
    if (!(sendFailed > logged.sendFailed || missed > logged.missed)) return;
    const hint = sendFailed > logged.sendFailed ? SEND_HINT : 'A full ring misses packets: see ethtool -g.';
    Object.assign(logged, { sendFailed, missed });
    log.warn(
      { event: 'packets_lost', ...fields, sendFailed, missed, hint },
      `${known(sendFailed)} packets could not be sent and ${known(missed)} were missed since the start`,
    );
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => {
      log.warn({ event: 'counters_unknown', error }, `counters could not be read: ${reasonOf(error)}`);
    });
  }, LOSSES_MS).unref();
  return () => clearInterval(timer);
}

function known(count: number): string {
  return Number.isNaN(count) ? 'an unknown number of' : String(count);
}
