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

/** From the clock of this thread to CLOCK_MONOTONIC. */
const MONOTONIC_OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** The kernel's monotonic clock: the same for all processes and for BPF programs, set by nobody, and new with the machine. */
export function monotonicMs(): number {
  return MONOTONIC_OFFSET_MS + performance.now();
}

export function readClocks(): Clocks {
  return { nowMs: performance.timeOrigin + performance.now(), wallMs: Date.now() };
}
