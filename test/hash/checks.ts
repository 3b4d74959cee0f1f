/**
 * What a flow hash must stand, of any size: figures for each hash, and what is wrong with them. A hash that is good fails one in a
 * million times at most.
 */
import { Random } from '../differential/random.js';
import { signatureAttack, sumDifferences, xorDifferences } from './attack.js';
import { avalanche, PATTERNS, slotDeviation } from './statistics.js';
import type { Subject } from './subjects.js';

/** Of figures that number up to some millions. */
const DEVIATIONS_MAX = 7;
/** A share of flows that keep their backend: chance gives 0.125, and 0.15 is 5 standard deviations over it. */
const SHARE_MAX = 0.16;

export interface Checked {
  /** One line: the figures. */
  readonly text: string;
  readonly isGood: boolean;
}

export interface Sizes {
  /** Random inputs whose bits are flipped. */
  readonly samples: number;
  /** Keys for each pattern of flows. */
  readonly keys: number;
  /** Of addresses and of ports that differences are in: 10 make a million flows. */
  readonly bits: number;
  /** Whose signatures are compared. 65,536 have 4.2 million flows. */
  readonly clients: number;
}

export function checkAvalanche(subject: Subject, { samples }: Sizes, seed: number): Checked {
  const results = [1, 2, 4, 5].map((words) => avalanche(subject, words, samples, new Random(seed)));
  const bias = Math.max(...results.map((result) => result.bias));
  const deviations = Math.max(...results.map((result) => result.deviations));
  return {
    text: `avalanche, ${samples} inputs: worst bias ${bias.toFixed(4)} (${deviations.toFixed(1)} standard deviations)`,
    isGood: deviations <= DEVIATIONS_MAX,
  };
}

export function checkSlots(subject: Subject, { keys }: Sizes, seed: number): Checked {
  const random = new Random(seed);
  let [worst, where] = [0, ''];
  for (const pattern of PATTERNS) {
    for (let key = 0; key < keys; key++) {
      const deviation = slotDeviation(subject, pattern, random);
      if (Math.abs(deviation) > Math.abs(worst)) [worst, where] = [deviation, pattern.name];
    }
  }
  return {
    text: `slots, ${PATTERNS.length} patterns x ${keys} keys: worst ${worst.toFixed(1)} standard deviations (${where})`,
    isGood: Math.abs(worst) <= DEVIATIONS_MAX,
  };
}

/** Addresses one, 256 and 65,536 apart in the raw word. */
const STEPS = [1, 2 ** 8, 2 ** 16];

export function checkDifferences(subject: Subject, { bits }: Sizes, seed: number): Checked {
  const random = new Random(seed);
  const found = [
    xorDifferences(subject.key(random), bits, random),
    ...STEPS.map((step) => sumDifferences(subject.key(random), bits, step, random)),
  ];
  const differences = found.reduce((sum, one) => sum + one.differences, 0);
  const best = found.reduce((one, other) => (other.deviations > one.deviations ? other : one));
  return {
    text:
      `${differences} differences over ${2 ** (2 * bits)} flows: the best keeps the backend of ${best.share.toFixed(4)} ` +
      `(${best.deviations.toFixed(1)} standard deviations over 0.125)`,
    isGood: best.deviations <= DEVIATIONS_MAX,
  };
}

export function checkSignatures(subject: Subject, { clients }: Sizes, seed: number): Checked {
  const random = new Random(seed);
  const { observations, matches, share } = signatureAttack(subject.key(random), clients, random);
  return {
    text: `signatures of ${observations} flows: ${matches} match; their best difference keeps the backend of ${share.toFixed(4)}`,
    isGood: share <= SHARE_MAX,
  };
}
