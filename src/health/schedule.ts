/**
 * When each check starts. Pure: the time is passed in.
 *
 *   round      0            1                 2
 *   phase 0.2  |.*..........|...*.............|...*...      one start a round, at round + phase + jitter
 *   phase 0.8  |..*.........|.............*...|......
 *
 * - Phases follow the golden ratio's multiples: however many there are, and whichever are taken out, they lie evenly
 *   over the interval, and no one else's phase moves when one is added.
 * - Times come from a grid and not from the end of the last check: nothing drifts.
 * - The first round starts at once, one check a millisecond, and takes an interval at most.
 * - A start that comes too late, because the process stood still, is left out: its next turn comes soon enough, and
 *   everything at once would take the stalled process, or the backends, down again.
 */
import { DueQueue } from './due-queue.js';

export interface Timing {
  /** Above 0. */
  readonly intervalMs: number;
  /** Share of the interval, 0 to 0.5: a start comes up to so much after its place on the grid. */
  readonly jitter: number;
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;
/** Between two starts of the first round. */
const FIRST_ROUND_STEP_MS = 1;
/**
 * Share of the interval: so many of all checks at most start at once after a stall. Who was left out may come twice as late next
 * time: under a load that makes every turn of the event loop a long one, all would be left out for ever.
 */
const LATE_SHARE_MAX = 1 / 8;

interface Entry extends Timing {
  /** Where its grid begins: a multiple of the interval later is each turn. */
  readonly originMs: number;
  /** The turn that comes next, from 0: the first round. */
  turn: number;
  /** Starts in a row that came too late. */
  leftOut: number;
}

export class Schedule {
  readonly #queue = new DueQueue();
  readonly #entries: (Entry | undefined)[] = [];
  readonly #random: () => number;
  #added = 0;
  /** In the first round: the time up to which starts have been given out. */
  #firstRoundMs = Number.NEGATIVE_INFINITY;

  /** @param random 0 to below 1 */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** When the next start is due; Infinity when nothing is scheduled. */
  get nextMs(): number {
    return this.#queue.nextMs;
  }

  /** @param check a small whole number, not in the schedule */
  add(check: number, { intervalMs, jitter }: Timing, nowMs: number): void {
    const phase = (this.#added++ * GOLDEN) % 1;
    const firstMs = Math.min(
      Math.max(nowMs, this.#firstRoundMs + FIRST_ROUND_STEP_MS),
      nowMs + phase * intervalMs,
    );
    this.#firstRoundMs = Math.max(this.#firstRoundMs, firstMs);
    this.#entries[check] = { intervalMs, jitter, originMs: nowMs + phase * intervalMs, turn: 1, leftOut: 0 };
    this.#queue.set(check, firstMs);
  }

  remove(check: number): void {
    this.#entries[check] = undefined;
    this.#queue.remove(check);
  }

  /** A check whose start is due, or -1. Its next one is scheduled. */
  take(nowMs: number): number {
    for (;;) {
      const dueMs = this.#queue.nextMs;
      const check = this.#queue.take(nowMs);
      if (check < 0) return -1;
      const entry = this.#entries[check]!;
      const isFirst = entry.turn === 1;
      this.#schedule(check, entry, nowMs);
      const isTooLate = nowMs - dueMs > entry.intervalMs * LATE_SHARE_MAX * 2 ** entry.leftOut;
      entry.leftOut = isTooLate ? entry.leftOut + 1 : 0;
      if (isFirst || !isTooLate) return check;
    }
  }

  #schedule(check: number, entry: Entry, nowMs: number): void {
    const { intervalMs, jitter, originMs } = entry;
    entry.turn = Math.max(entry.turn, Math.ceil((nowMs - originMs) / intervalMs));
    this.#queue.set(check, originMs + (entry.turn + this.#random() * jitter) * intervalMs);
    entry.turn += 1;
  }
}
