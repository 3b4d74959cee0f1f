/**
 * The permutation of slots that a backend prefers, in one layer (Maglev paper, section 3.4): position p is slot
 * (offset + p * skip) mod M. M is prime, so every skip from 1 to M - 1 visits each slot once, and multiplying by the
 * inverse of skip leads back from a slot to its position.
 *
 * All of it is exact in doubles: operands are below 2^32, products below M^2 < 2^40 (TABLE_SIZE_MAX), and the floor
 * of a quotient of two such integers is right, because a / b differs from the next integer by at least 1 / b, which
 * is more than the rounding error of the division as long as a + b < 2^53.
 */

/** a mod b for integers 0 <= a < 2^52 and 0 < b < 2^32. The `%` of doubles is a library call ten times as slow. */
export function mod(a: number, b: number): number {
  return a - Math.floor(a / b) * b;
}

/** Slot at position 0, in layer `layer` (0 to 3), of the backend with these name words. */
export function permutationOffset(words: Uint32Array, layer: number, slots: number): number {
  return mod(words[2 * layer], slots);
}

/** Distance from one position's slot to the next: 1 to slots - 1. */
export function permutationSkip(words: Uint32Array, layer: number, slots: number): number {
  return 1 + mod(words[2 * layer + 1], slots - 1);
}

/** The x with a * x mod m = 1, for 0 < a < m and m prime (extended Euclid; coefficients stay below m). */
export function inverse(a: number, m: number): number {
  let r0 = m | 0;
  let r1 = a | 0;
  let x0 = 0;
  let x1 = 1;
  while (r1 !== 0) {
    const q = (r0 / r1) | 0;
    const r2 = r0 - Math.imul(q, r1);
    r0 = r1;
    r1 = r2;
    const x2 = x0 - Math.imul(q, x1);
    x0 = x1;
    x1 = x2;
  }
  return x0 < 0 ? x0 + m : x0;
}
