/**
 * The fleet's clock: the wall time in milliseconds since FLEET_CLOCK_START, by which all nodes and agents date cookies. The packet path
 * has only the monotonic clock, so it is told the distance between the two: again and again, since the wall clock is set by NTP and by
 * hand. A distance that differs by less than SLACK_MS stays: answers to one client would otherwise be dated to and fro.
 */
import { L } from '../core/layout.gen.js';
import type { Logger } from '../core/log.js';
import { formatDuration } from '../core/time.js';

const SLACK_MS = 4;
/** Of a clock that was set: cookies that are under way may be refused. Seconds that NTP slews in are not meant. */
const STEP_MS = 4000;

export interface TwoClocks {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export class FleetClock {
  readonly #read: () => TwoClocks;
  readonly #log: Logger;
  #offsetMs: number | undefined;

  constructor(read: () => TwoClocks, log: Logger) {
    this.#read = read;
    this.#log = log;
  }

  /** From the monotonic clock to the fleet's, in whole milliseconds; never negative. */
  offsetMs(): number {
    const { wallMs, monotonicMs } = this.#read();
    // A machine without a battery begins in 1970.
    const offsetMs = Math.max(Math.round(wallMs - L.FLEET_CLOCK_START * 1000 - monotonicMs), 0);
    const stepMs = this.#offsetMs === undefined ? 0 : offsetMs - this.#offsetMs;
    if (Math.abs(stepMs) >= STEP_MS) this.#tell(stepMs);
    if (this.#offsetMs === undefined || Math.abs(stepMs) >= SLACK_MS) this.#offsetMs = offsetMs;
    return this.#offsetMs;
  }

  #tell(stepMs: number): void {
    const by = formatDuration(Math.abs(Math.round(stepMs / 1000)) * 1000);
    const where = stepMs > 0 ? 'forwards' : 'backwards';
    this.#log.warn(
      { event: 'clock_stepped', stepMs },
      `the clock of this host was set ${where} by ${by}: backends with another time refuse its SYN cookies`,
    );
  }
}
