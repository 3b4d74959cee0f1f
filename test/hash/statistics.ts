/** How evenly a hash spreads, as numbers to be judged: avalanche, and flows over slots. */
import { slotOf } from '#anyhop/hash/flow.js';
import type { Random } from '../differential/random.js';
import type { Subject } from './subjects.js';

const SAMPLES_A_KEY = 1024;

/**
 * Flips each bit of random inputs under random keys. Each bit of the output should change every second time.
 * @returns the worst pair of bits: how far from a half, in standard deviations and as a share
 */
export function avalanche(
  subject: Subject,
  words: number,
  samples: number,
  random: Random,
): { deviations: number; bias: number } {
  const flips = new Int32Array(words * 32 * 32);
  const input = new Int32Array(words);
  let hash = subject.key(random);
  for (let sample = 0; sample < samples; sample++) {
    if (sample % SAMPLES_A_KEY === 0) hash = subject.key(random);
    for (let i = 0; i < words; i++) input[i] = random.below(2 ** 32);
    const whole = hash(input, words);
    for (let bit = 0; bit < words * 32; bit++) {
      input[bit >>> 5] ^= 1 << (bit & 31);
      const changed = hash(input, words) ^ whole;
      input[bit >>> 5] ^= 1 << (bit & 31);
      for (let out = 0; out < 32; out++) flips[bit * 32 + out] += (changed >>> out) & 1;
    }
  }
  const bias = flips.reduce((worst, count) => Math.max(worst, Math.abs(count / samples - 0.5)), 0);
  return { deviations: (bias * Math.sqrt(samples)) / 0.5, bias };
}

/** Flows in an order that clients or networks bring about. */
export interface Pattern {
  readonly name: string;
  readonly words: number;
  /** The raw words of flow `i` (0 to 65535). */
  readonly flow: (i: number, input: Int32Array, random: Random) => void;
}

const PORT = 443;
const CLIENT = 0xc6336400;

/** A number in network order as a raw word. */
function raw(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}

function set(input: Int32Array, ...values: number[]): void {
  for (const [i, value] of values.entries()) input[i] = raw(value);
}

const V6 = 0x20010db8;

export const PATTERNS: readonly Pattern[] = [
  { name: 'all ports of a client', words: 2, flow: (i, w) => set(w, CLIENT, (i << 16) | PORT) },
  { name: 'a port of many clients', words: 2, flow: (i, w) => set(w, CLIENT + i, (40_000 << 16) | PORT) },
  {
    name: '256 ports of 256 clients',
    words: 2,
    flow: (i, w) => set(w, CLIENT + (i >>> 8), ((1024 + (i & 0xff)) << 16) | PORT),
  },
  {
    name: 'clients 65,536 apart, each on a port of its own',
    words: 2,
    flow: (i, w) => set(w, i << 16, (i << 16) | PORT),
  },
  {
    name: 'random flows',
    words: 2,
    flow: (_, w, random) => set(w, random.below(2 ** 32), (random.below(65536) << 16) | PORT),
  },
  { name: 'IPv6 hosts of a /64', words: 5, flow: (i, w) => set(w, V6, 0, 0, i, (40_000 << 16) | PORT) },
  {
    name: 'IPv6 networks, a port each',
    words: 5,
    flow: (i, w) => set(w, V6, i << 8, 0, 1, (i << 16) | PORT),
  },
  { name: 'IPv4 clients alone', words: 1, flow: (i, w) => set(w, CLIENT + i) },
  { name: 'IPv6 clients alone', words: 4, flow: (i, w) => set(w, V6, i, 0, 1) },
];

const FLOWS = 65_536;
const SLOTS = 1021;

/** Chi-square of the flows over slots, in standard deviations from what chance gives: below 0 is too even. */
export function slotDeviation(subject: Subject, { words, flow }: Pattern, random: Random): number {
  const hash = subject.key(random);
  const input = new Int32Array(words);
  const counts = new Int32Array(SLOTS);
  for (let i = 0; i < FLOWS; i++) {
    flow(i, input, random);
    counts[slotOf(hash(input, words), SLOTS)]++;
  }
  const expected = FLOWS / SLOTS;
  const chi = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (chi - (SLOTS - 1)) / Math.sqrt(2 * (SLOTS - 1));
}
