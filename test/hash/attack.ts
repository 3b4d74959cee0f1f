/**
 * Attacks by somebody who has no key, but sends packets from any address and port and sees which of eight backends gets them. The
 * aim is a difference between flows that keeps the backend more often than chance, which is one time in eight: it would lead to
 * any number of flows that share a backend.
 */
import type { Random } from '../differential/random.js';
import type { Keyed } from './subjects.js';

const BACKENDS = 8;
const CHANCE = 1 / BACKENDS;

type Input = (i: number) => number;

/** The backend of every flow of `side` addresses and `side` ports. */
function observe(hash: Keyed, side: number, address: Input, ports: Input): Uint8Array {
  const input = new Int32Array(2);
  const backends = new Uint8Array(side * side);
  for (let a = 0; a < side; a++) {
    input[0] = address(a);
    for (let p = 0; p < side; p++) {
      input[1] = ports(p);
      backends[a * side + p] = hash(input, 2) >>> 29; // the slot's top bits
    }
  }
  return backends;
}

export interface Found {
  readonly differences: number;
  /** The best difference's share of flows that keep their backend, and in standard deviations over chance. */
  readonly share: number;
  readonly deviations: number;
}

function best(counts: Iterable<readonly [kept: number, pairs: number]>): Found {
  let found: Found = { differences: 0, share: 0, deviations: Number.NEGATIVE_INFINITY };
  let differences = 0;
  for (const [kept, pairs] of counts) {
    differences++;
    const deviations = (kept - pairs * CHANCE) / Math.sqrt(pairs * CHANCE * (1 - CHANCE));
    if (deviations > found.deviations) found = { differences, share: kept / pairs, deviations };
  }
  return { ...found, differences };
}

/** All differences by exclusive or, in `2 * bits` random bits of the input. */
export function xorDifferences(hash: Keyed, bits: number, random: Random): Found {
  const spread = (width: number): Input => {
    const base = random.below(2 ** 32);
    const places = Array.from({ length: width }, (_, i) => i);
    for (let i = 0; i < bits; i++) {
      const other = i + random.below(width - i);
      [places[i], places[other]] = [places[other], places[i]];
    }
    return (i) => places.slice(0, bits).reduce((word, at, bit) => word ^ (((i >>> bit) & 1) << at), base);
  };
  // All of an address can be chosen; of the ports, only the client's: the lower half of the raw word.
  const backends = observe(hash, 2 ** bits, spread(32), spread(16));
  const kept = new Float64Array(backends.length);
  for (let backend = 0; backend < BACKENDS; backend++) {
    const is = Float64Array.from(backends, (one) => (one === backend ? 1 : 0));
    walsh(is);
    for (let i = 0; i < kept.length; i++) kept[i] += is[i] * is[i];
  }
  walsh(kept);
  function* counts(): Generator<[number, number]> {
    // Each pair was counted from both of its ends.
    for (let d = 1; d < kept.length; d++) yield [kept[d] / kept.length / 2, kept.length / 2];
  }
  return best(counts());
}

/** All differences by addition, of addresses `step` apart and neighbouring ports, with at least a quarter of the flows to show them. */
export function sumDifferences(hash: Keyed, bits: number, step: number, random: Random): Found {
  const side = 2 ** bits;
  const [address, port] = [random.below(2 ** 32), random.below(2 ** 32) & -0x10000];
  const backends = observe(
    hash,
    side,
    (i) => (address + i * step) | 0,
    (i) => port + i,
  );
  // A row of zeros beside each row, and as many rows of zeros: a difference never wraps around.
  const row = 2 * side;
  const size = row * 2 * side;
  const [sum, zeros] = [new Float64Array(size), new Float64Array(size)];
  for (let backend = 0; backend < BACKENDS; backend += 2) {
    // Two backends at once, as real and imaginary parts: the real part of what comes back is the sum over both.
    const [real, imaginary] = [new Float64Array(size), new Float64Array(size)];
    for (let i = 0; i < backends.length; i++) {
      const at = (i >>> bits) * row + (i & (side - 1));
      if (backends[i] === backend) real[at] = 1;
      else if (backends[i] === backend + 1) imaginary[at] = 1;
    }
    fourier(real, imaginary);
    for (let i = 0; i < size; i++) sum[i] += real[i] ** 2 + imaginary[i] ** 2;
  }
  fourier(sum, zeros); // the spectrum is of a sequence that is its own mirror image: forwards is backwards
  function* counts(): Generator<[number, number]> {
    for (let da = 0; da < side; da++) {
      for (let dp = da === 0 ? 1 : 1 - side; dp < side; dp++) {
        const pairs = (side - da) * (side - Math.abs(dp));
        if (pairs >= (side * side) / 4) yield [sum[da * row + dp] / size, pairs];
      }
    }
  }
  return best(counts());
}

/** So many neighbouring ports, as one number: 42 bits. A few of millions are equal by chance. */
const SIGNATURE = 14;
const PORTS = 64;
const STARTS = PORTS - SIGNATURE + 1;
const FRESH = 4096;

export interface Matched {
  readonly observations: number;
  /** Pairs of equal signatures. */
  readonly matches: number;
  /** The best share of fresh flows that keep their backend by the difference of such a pair; 0 when there is none. */
  readonly share: number;
}

/**
 * The backends of a client's neighbouring ports are a signature of the hash's inner state. Two clients with the same one at two ports
 * are taken to have the same state there, and the difference between these flows is tried on others. Random addresses have as many
 * differences as there are pairs of them.
 */
export function signatureAttack(hash: Keyed, clients: number, random: Random): Matched {
  const input = new Int32Array(2);
  const addresses = Int32Array.from({ length: clients }, () => random.below(2 ** 32));
  const port = random.below(2 ** 32) & -0x10000; // of the service, and a client's from 0 on
  const backends = new Uint8Array(PORTS);
  const signatures = new Float64Array(clients * STARTS);
  for (const [client, address] of addresses.entries()) {
    input[0] = address;
    for (let p = 0; p < PORTS; p++) {
      input[1] = port + p;
      backends[p] = hash(input, 2) >>> 29;
    }
    let signature = 0;
    for (let p = 0; p < PORTS; p++) {
      signature = (signature * BACKENDS + backends[p]) % BACKENDS ** SIGNATURE;
      if (p >= SIGNATURE - 1) signatures[client * STARTS + p - SIGNATURE + 1] = signature;
    }
  }
  let [matches, share] = [0, 0];
  for (const [one, other] of equalPairs(signatures)) {
    const da = addresses[Math.floor(other / STARTS)] - addresses[Math.floor(one / STARTS)];
    const dp = (other % STARTS) - (one % STARTS);
    if (da === 0 && dp === 0) continue; // the same flow: the generator gave an address twice
    matches++;
    share = Math.max(share, keptBy(hash, da, dp, port, random));
  }
  return { observations: clients * PORTS, matches, share };
}

/** Places with the same value, each with the one before it. */
function* equalPairs(values: Float64Array): Generator<[number, number]> {
  const sorted = values.slice().sort();
  const repeated = new Set<number>();
  for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) repeated.add(sorted[i]);
  const last = new Map<number, number>();
  for (let i = 0; i < values.length; i++) {
    if (!repeated.has(values[i])) continue;
    const before = last.get(values[i]);
    if (before !== undefined) yield [before, i];
    last.set(values[i], i);
  }
}

function keptBy(hash: Keyed, da: number, dp: number, port: number, random: Random): number {
  const input = new Int32Array(2);
  let kept = 0;
  for (let i = 0; i < FRESH; i++) {
    const [a, p] = [random.below(2 ** 32), random.below(65536)];
    input[0] = a;
    input[1] = port + p;
    const before = hash(input, 2) >>> 29;
    input[0] = (a + da) | 0;
    input[1] = (port + p + dp) | 0;
    if (hash(input, 2) >>> 29 === before) kept++;
  }
  return kept / FRESH;
}

/** The Walsh-Hadamard transform, in place. */
function walsh(values: Float64Array): void {
  for (let half = 1; half < values.length; half *= 2) {
    for (let i = 0; i < values.length; i++) {
      if ((i & half) !== 0) continue;
      const [a, b] = [values[i], values[i + half]];
      values[i] = a + b;
      values[i + half] = a - b;
    }
  }
}

/** The discrete Fourier transform, in place; the length is a power of two. */
function fourier(real: Float64Array, imaginary: Float64Array): void {
  const { length } = real;
  for (let i = 1, j = 0; i < length; i++) {
    let bit = length >>> 1;
    for (; (j & bit) !== 0; bit >>>= 1) j ^= bit;
    j |= bit;
    if (i >= j) continue;
    [real[i], real[j]] = [real[j], real[i]];
    [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
  }
  const cosine = Float64Array.from({ length: length / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / length));
  const sine = Float64Array.from({ length: length / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / length));
  for (let half = 1; half < length; half *= 2) {
    const stride = length / (2 * half);
    for (let start = 0; start < length; start += 2 * half) {
      for (let i = 0; i < half; i++) {
        const [at, other] = [start + i, start + i + half];
        const [c, s] = [cosine[i * stride], sine[i * stride]];
        const x = real[other] * c - imaginary[other] * s;
        const y = real[other] * s + imaginary[other] * c;
        real[other] = real[at] - x;
        imaginary[other] = imaginary[at] - y;
        real[at] += x;
        imaginary[at] += y;
      }
    }
  }
}
