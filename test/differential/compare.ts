/** Where two pipelines made something different of the same frames, in words that a person can work with. */
import { shortened } from './mutate.js';
import type { Subject } from './pipelines.js';
import type { Recipe } from './recipe.js';
import { Frames, R, type Results, SKIPPED, verdictName, XDP_ACTIONS } from './record.js';

const HOST_WORDS = [R.VERDICT, R.LENGTH, R.SERVICE_COUNTER, R.BACKEND_COUNTER, R.BYTES] as const;
const DECISION_WORDS = [R.L2_LENGTH, R.HASH, R.SLOT, R.BACKEND, R.KEY, R.INTERFACE_INDEX] as const;
const SHRINK_ROUNDS_MAX = 300;
const RESULT_BYTES_SHOWN = 160;

/** What is compared with the reference: the C pipeline tells how it decided, the BPF program what it had the driver do, and, of packets
 * that are captured, how it decided. */
const WORDS: Record<Subject['name'], readonly number[]> = {
  TypeScript: [],
  C: [...HOST_WORDS, ...DECISION_WORDS],
  'C without lanes': [...HOST_WORDS, ...DECISION_WORDS],
  BPF: [...HOST_WORDS, R.ACTION, R.HASH, R.SLOT, R.KEY],
};

/** The first frame that a subject sees otherwise than the reference; -1 when there is none. */
export function firstDifference(reference: Results, other: Results, subject: Subject['name']): number {
  for (let i = 0; i < reference.count; i++) if (differs(reference, other, subject, i)) return i;
  return -1;
}

function differs(reference: Results, other: Results, subject: Subject['name'], index: number): boolean {
  if (other.get(index, R.VERDICT) === SKIPPED) return false;
  for (const word of WORDS[subject]) if (other.get(index, word) !== reference.get(index, word)) return true;
  return !other.frame(index).equals(reference.frame(index));
}

/** Everything about a frame on which the pipelines disagree: where, what each of them says, and how to see it again. */
export function explain(
  subjects: readonly Subject[],
  recipe: Recipe | string,
  frame: Uint8Array,
  again: string,
): string {
  const verdict = subjects[0].run(new Frames([frame])).get(0, R.VERDICT);
  const small = shrink(frame, (candidates) => disagreements(subjects, candidates, verdict));
  const frames = new Frames([small]);
  const all = subjects.map((subject) => ({ name: subject.name, results: subject.run(frames) }));
  const [reference, ...others] = all;
  return [
    `the pipelines disagree on a packet of ${small.length} bytes (shrunk from ${frame.length}):`,
    `  ${hex(small)}`,
    `  ${'node'.padEnd(15)}  ${typeof recipe === 'string' ? recipe : JSON.stringify(recipe)}`,
    ...all.map(({ name, results }) => `  ${name.padEnd(15)}  ${outcome(results)}`),
    ...others.flatMap(({ name, results }) => {
      const [mine, theirs] = [reference.results.frame(0), results.frame(0)];
      const at = mine.findIndex((byte, i) => byte !== theirs[i]);
      return at < 0 || at >= theirs.length
        ? []
        : [
            `  ${name} differs from byte ${at} of the result on: ${hex(theirs.subarray(at, at + 4))} for ${hex(mine.subarray(at, at + 4))}`,
          ];
    }),
    `  before it was shrunk: ${hex(frame)}`,
    `  to see it again: ${again}`,
  ].join('\n');
}

/** For each frame, whether it ends in `verdict` by the reference, so that it stays the same kind of packet, and otherwise by
 * another subject. */
function disagreements(
  subjects: readonly Subject[],
  candidates: readonly Uint8Array[],
  verdict: number,
): boolean[] {
  const frames = new Frames(candidates);
  const [reference, ...others] = subjects.map((subject) => subject.run(frames));
  return candidates.map(
    (_, i) =>
      reference.get(i, R.VERDICT) === verdict &&
      others.some((results, j) => differs(reference, results, subjects[j + 1].name, i)),
  );
}

/** A smaller frame, or one with more zeros, that still fails: ends cut off, with and without the lengths in the headers put
 * right, then runs of bytes zeroed. */
export function shrink(
  frame: Uint8Array,
  fails: (candidates: readonly Uint8Array[]) => readonly boolean[],
): Uint8Array {
  let smallest: Uint8Array = Uint8Array.from(frame); // not a Buffer: its slices share memory
  for (let round = 0; round < SHRINK_ROUNDS_MAX; round++) {
    const candidates: Uint8Array[] = [];
    for (let cut = smallest.length; cut >= 1; cut >>= 1) {
      const sound = shortened(smallest, cut);
      if (sound !== smallest) candidates.push(sound);
      candidates.push(smallest.slice(0, smallest.length - cut));
    }
    for (let run = 64; run >= 1; run >>= 2) {
      for (let at = 0; at < smallest.length; at += run) {
        if (smallest.subarray(at, at + run).every((byte) => byte === 0)) continue;
        candidates.push(smallest.slice().fill(0, at, at + run));
      }
    }
    const smaller = fails(candidates).indexOf(true);
    if (smaller < 0) return smallest;
    smallest = candidates[smaller];
  }
  return smallest;
}

function outcome(results: Results): string {
  const verdict = results.get(0, R.VERDICT);
  const parts = [verdictName(verdict)];
  if (verdict === SKIPPED) return parts[0];
  const get = (word: number): number => results.get(0, word);
  const action = XDP_ACTIONS[get(R.ACTION)];
  if (get(R.ACTION) !== 0 && action !== undefined) parts.push(`XDP ${action}`);
  if (get(R.BYTES) > 0) {
    parts.push(
      `${get(R.BYTES)} bytes to service ${get(R.SERVICE_COUNTER)}, backend ${get(R.BACKEND_COUNTER)}`,
    );
  }
  if (get(R.HASH) !== 0) {
    parts.push(`hash ${get(R.HASH).toString(16)}, slot ${get(R.SLOT)}, key ${get(R.KEY).toString(16)}`);
  }
  parts.push(get(R.LENGTH) === 0 ? 'no frame' : `${get(R.LENGTH)} bytes ${start(results.frame(0))}`);
  return parts.join('; ');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The first bytes: all that a header takes. */
function start(bytes: Uint8Array): string {
  return hex(bytes.subarray(0, RESULT_BYTES_SHOWN)) + (bytes.length > RESULT_BYTES_SHOWN ? '...' : '');
}
