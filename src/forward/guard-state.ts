/**
 * The state of defence as memory (struct anyhop_guard and what lies behind it, native/include/anyhop/defend.h): what packets count in, and
 * what user space sets and reads. All engines have it in the same form, the engine `xdp` in a map.
 */
import { L } from '../core/layout.gen.js';

/** Bytes of the state, with room for so many services. */
export function guardBytes(services: number): number {
  return L.SIZEOF_GUARD + Math.max(1, services) * L.SIZEOF_SERVICE_STATE;
}

/** Indexes into the words. */
export const SKETCH_WORD = L.GUARD_SKETCH / 4;
export const CANDIDATES_WORD = L.GUARD_CANDIDATES / 4;
export const CANDIDATE_WORDS = L.SIZEOF_CANDIDATE / 4;

/** Where a service's state begins in the words. */
export function stateWord(counter: number): number {
  return (L.SIZEOF_GUARD + counter * L.SIZEOF_SERVICE_STATE) / 4;
}

/**
 * The state of an engine without maps, shared by its threads: 6 MiB with room for as many services as there are counter numbers, of which
 * only what is used takes memory.
 */
export function makeGuardState(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(guardBytes(L.NONE)));
}

/** Of limits' time, in ms. */
const UNIT_MS = 2 ** L.UNIT_SHIFT / 1e6;

/** Limits' time, an int32. @param monotonicMs of CLOCK_MONOTONIC; captures have their own */
export function unitsAt(monotonicMs: number): number {
  return Math.floor(monotonicMs / UNIT_MS) | 0;
}

const FLEET_OFFSET_WORD = (L.GUARD_TIME + L.GUARD_TIME_FLEET_OFFSET_MS) / 4;

/** From the monotonic clock to the fleet's, in ms. */
export function fleetOffsetMs(state: Int32Array): number {
  return (state[FLEET_OFFSET_WORD] >>> 0) + state[FLEET_OFFSET_WORD + 1] * 2 ** 32;
}

export function setFleetOffsetMs(state: Int32Array, offsetMs: number): void {
  state[FLEET_OFFSET_WORD] = offsetMs % 2 ** 32;
  state[FLEET_OFFSET_WORD + 1] = Math.floor(offsetMs / 2 ** 32);
}

const CLOCK_OFFSET_WORD = (L.GUARD_TIME + L.GUARD_TIME_OFFSET) / 4;
const STATE_THRESHOLD = L.SERVICE_STATE_THRESHOLD / 4;
const STATE_COOKIES_UNTIL = L.SERVICE_STATE_COOKIES_UNTIL / 4;

/** The time of a program that takes it from the kernel's clock. */
export function programUnits(state: Int32Array, monotonicMs: number): number {
  return (unitsAt(monotonicMs) + state[CLOCK_OFFSET_WORD]) | 0;
}

/**
 * Gives each service its state when numbers are given anew; one that is new, or has been away, begins without any.
 * @param moves for each counter number the one that the service had before, or -1
 * @param before how many counter numbers there were
 */
export function moveServiceStates(state: Int32Array, moves: Int32Array, before: number): void {
  const former = state.slice(stateWord(0), stateWord(before));
  state.fill(0, stateWord(0), stateWord(Math.max(before, moves.length)));
  for (const [counter, number] of moves.entries()) {
    if (number < 0) continue;
    const at = stateWord(number) - stateWord(0);
    state.set(former.subarray(at, at + L.SIZEOF_SERVICE_STATE / 4), stateWord(counter));
  }
}

/** SYNs of a service's window above which it is answered with cookies. @param threshold 0: as its rules say */
export function setThreshold(state: Int32Array, counter: number, threshold: number): void {
  state[stateWord(counter) + STATE_THRESHOLD] = Math.min(threshold, L.COUNT_MAX);
}

/** Whether more SYNs than its threshold came to a service lately: cookies answer then, where its rules have them. */
export function isFlooded(state: Int32Array, counter: number, now: number): boolean {
  const left = (state[stateWord(counter) + STATE_COOKIES_UNTIL] - now) >>> 0;
  return left > 0 && left <= L.COOKIES_HOLD;
}
