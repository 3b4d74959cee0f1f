/**
 * Two clocks, both milliseconds since 1970. Time is measured by the one of the process, which goes on evenly but has kept the
 * wall time of its start: what has been set since, by hand or by NTP, it does not know. How long no process ran only the wall
 * clock can tell. So what outlives a process is kept with both.
 */

/** One moment by both. */
export interface Clocks {
  /** Of the process. */
  readonly nowMs: number;
  /** May be set, forwards and backwards, at any moment. */
  readonly wallMs: number;
}

export function readClocks(): Clocks {
  return { nowMs: performance.timeOrigin + performance.now(), wallMs: Date.now() };
}
