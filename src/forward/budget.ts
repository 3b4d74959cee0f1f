/**
 * How often the node answers: a budget for each kind of answer, shared so that clients that send little are served first.
 * What the sketch is and what its limits are is said in native/include/anyhop/budget.h, which this is the reference of.
 *
 * The words are one Int32Array, laid out as struct anyhop_limiter. All zero is unused.
 */
import { L } from '../core/layout.gen.js';

const TICK = L.BUDGET_TICK / 4;
const SPENT = L.BUDGET_SPENT / 4;
const CELLS = L.BUDGET_CELLS / 4;
const EPOCH_SHIFT = 5; // 32 ticks
const EPOCH_MASK = 0xfff;
/** Of each kind, the index of its budget in the words. */
export const TOO_BIG_BUDGET = L.LIMITER_TOO_BIG / 4;
export const ECHO_BUDGET = L.LIMITER_ECHO / 4;

/** The budgets of one pipeline: 2 MB, which take room only once they are used. */
export function makeLimiter(): Int32Array {
  return new Int32Array(L.SIZEOF_LIMITER / 4);
}

/**
 * Takes note of a packet that asks for an answer, and says whether it gets one.
 *
 * @param budget index into `words`
 * @param hash keyed, of the client's address
 * @param tick coarse time in units of BUDGET_TICK_MS, an int32, which may jump
 * @param forClient answers that one client may get in a tick, 1 to 31
 */
export function budgetAdmits(
  words: Int32Array,
  budget: number,
  hash: number,
  tick: number,
  forClient: number,
): boolean {
  const cells = budget + CELLS;
  const now = (((tick >>> EPOCH_SHIFT) & EPOCH_MASK) << 20) | ((tick & 31) << 5);
  const spent = words[budget + TICK] === tick ? words[budget + SPENT] : 0;
  let packets = L.BUDGET_PACKETS_MAX - 1;
  let answers = 31;
  for (let row = 0; row < L.BUDGET_ROWS; row++) {
    const cell = words[cells + place(hash, row)];
    packets = Math.min(packets, packetsIn(cell, tick));
    answers = Math.min(answers, answersIn(cell, now));
  }
  packets++;
  const admits =
    answers < forClient && spent * Math.max(packets, L.BUDGET_RARE) < L.BUDGET_ANSWERS * L.BUDGET_RARE;
  if (admits) answers++;
  // Raised to the client's own, and no further: what others put into a cell does not add up in it.
  for (let row = 0; row < L.BUDGET_ROWS; row++) {
    const at = cells + place(hash, row);
    const cell = words[at];
    words[at] =
      now | (Math.max(packets, packetsIn(cell, tick)) << 10) | Math.max(answers, answersIn(cell, now));
  }
  if (admits) {
    words[budget + TICK] = tick;
    words[budget + SPENT] = spent + 1;
  }
  return admits;
}

/** The place of a client's cell in a row. */
function place(hash: number, row: number): number {
  return row * L.BUDGET_WIDTH + ((hash + row * ((hash >>> 16) | 1)) & (L.BUDGET_WIDTH - 1));
}

/** Packets of lately, halved with every epoch. */
function packetsIn(cell: number, tick: number): number {
  const age = ((tick >>> EPOCH_SHIFT) - (cell >>> 20)) & EPOCH_MASK;
  return age > 9 ? 0 : ((cell >>> 10) & L.BUDGET_PACKETS_MAX) >> age;
}

/** Answers of this tick, which `now` has in a cell's form. */
function answersIn(cell: number, now: number): number {
  return ((cell ^ now) & 0xfff003e0) === 0 ? cell & 31 : 0;
}
