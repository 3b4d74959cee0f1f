/**
 * Names packets for VIPs in frames that are for others, which are not forwarded. A switch that floods sends a few; the traffic of a
 * virtual MAC address that this host should have, and has not, comes this way too.
 */
import { L } from '../core/layout.gen.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import type { Engine } from '../engine/contract.js';
import { formatMac } from '../packet/mac.js';

const LOOK_MS = 2_000;
/** The least time from one line to the next. */
const TOLD_MS = 60_000;

/** Tells until the timer is cleared, once a TOLD_MS at most. @param macs the host's addresses on the interface, now */
export function watchStrayFrames(
  engine: Engine,
  macs: () => readonly Uint8Array[],
  log: Logger,
): NodeJS.Timeout {
  let toldMs = -Infinity;
  const count = (): { others: number; group: number } => {
    const { verdicts } = engine.counters();
    return { others: verdicts[L.V_PASS_OTHER_HOST], group: verdicts[L.V_DROP_GROUP_MAC] };
  };
  let told = count(); // a process before this one may have counted some
  const look = async (): Promise<void> => {
    if (performance.now() - toldMs < TOLD_MS) return;
    await engine.engineCounters(); // portable finds out by it what libpcap does not show
    const now = count();
    if (now.others <= told.others && now.group <= told.group) return;
    const since = { others: now.others - told.others, group: now.group - told.group };
    told = now;
    toldMs = performance.now();
    log.warn(
      { event: 'stray_frames', ...since, macs: macs().map(formatMac) },
      `packets for VIPs come in frames that are not for this host, and are not forwarded: ${since.others} for other MAC addresses ` +
        `(pass_other_host), ${since.group} for groups (drop_group_mac); this host has ${macs().map(formatMac).join(', ')}. ` +
        'A switch floods, the router has another address for this host (there: ip neigh), or a virtual address is missing here',
    );
  };
  return setInterval(() => {
    look().catch((error: unknown) => {
      log.warn({ event: 'counters_unknown', error }, `counters could not be read: ${reasonOf(error)}`);
    });
  }, LOOK_MS).unref();
}
