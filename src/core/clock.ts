/**
 * Two clocks, both in milliseconds since 1970. The process clock starts at the wall time and ignores later settings, by hand or
 * by NTP: it measures durations. Only the wall clock shows how long no process ran. So a time that outlives the process is kept
 * by both.
 */

export interface Clocks {
  /** By the clock of the process. */
  readonly nowMs: number;
  /** By the wall clock, which may jump forwards and backwards. */
  readonly wallMs: number;
}

export function readClocks(): Clocks {
  return { nowMs: performance.timeOrigin + performance.now(), wallMs: Date.now() };
}
