/** The kernel's monotonic clock, in milliseconds: the same for all processes, set by nobody, and new with the machine. */
const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export function monotonicMs(): number {
  return OFFSET_MS + performance.now();
}
