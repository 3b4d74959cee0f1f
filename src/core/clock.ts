/**
 * Two clocks, both milliseconds since 1970. The clock of the process runs evenly from the wall time of its start and ignores later
 * settings, by hand or by NTP: it measures time. Only the wall clock shows how long no process ran. So what outlives a process is
 * kept with both.
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
