/**
 * The differential test itself: node after node, thousands of frames each, through every pipeline at hand; the TypeScript
 * one is the reference. The seed replays a run.
 */
import fc from 'fast-check';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { COUNTERS_PER_ENTRY, Counters } from '#anyhop/forward/counters.js';
import { explain, firstDifference } from './compare.js';
import { damaged, tweaked } from './mutate.js';
import { framesFor } from './packets.js';
import { BpfSubject, HostSubject, type Subject, TypeScriptSubject } from './pipelines.js';
import { Random } from './random.js';
import { recipe as anyRecipe, imageFrom, RECIPES, type Recipe } from './recipe.js';
import { Frames, isForwarded, R, type Results, SKIPPED, verdictName } from './record.js';
import { fromFew, movingClock } from './rules.js';

/** Room for every recipe: 65537 slots, and as many of a former flow hash key. */
const BPF_SIZES = { imageBytes: 2 << 20, services: 512, backends: 512 } as const;
const FRAMES_A_NODE = 5000;
const FRAMES_A_BATCH = 1000;
/** Answered ones among them that are tried again, in disorder, while the limits on answers last. */
const LIMITED_FRAMES = 100;
/** Of each frame that is generated: tweaks and damaged ones; right and nearly right ones are the majority. */
const TWEAKS = 3;
const DAMAGES = 1;

export interface Options {
  readonly seed: number;
  /** At least so many. */
  readonly packets: number;
  readonly withBpf: boolean;
  /** Called after each node; false ends the run. */
  readonly onNode?: (summary: Summary) => boolean;
}

export interface Summary {
  packets: number;
  nodes: number;
  /** Right frames, and right ones with other field values. */
  nearlyRight: number;
  /** Shorter than Ethernet or longer than a page takes: the kernel's test run refuses them. */
  skippedByBpf: number;
  /** By number. */
  readonly verdicts: Float64Array;
  /** Packets that took the lane, by its kinds: `IPv4 in IPv6, tagged, keyed`. */
  readonly lanes: Map<string, number>;
}

/** @throws Error that explains the first difference */
export function runDifferential(options: Options): Summary {
  const { seed } = options;
  const reference = new TypeScriptSubject();
  const subjects: Subject[] = [reference, new HostSubject(), new HostSubject(false)];
  if (options.withBpf) subjects.push(new BpfSubject(BPF_SIZES));
  const summary: Summary = {
    packets: 0,
    nodes: 0,
    nearlyRight: 0,
    skippedByBpf: 0,
    verdicts: new Float64Array(VERDICTS.length),
    lanes: new Map(),
  };
  try {
    while (summary.packets < options.packets) {
      const number = summary.nodes++;
      const recipe = RECIPES[number] ?? fc.sample(anyRecipe, { numRuns: 1, seed: seed + number })[0];
      const image = imageFrom(recipe, number + 1);
      for (const subject of subjects) subject.publish(image);
      const again = `ANYHOP_SEED=${seed} make soak (node ${number + 1})`;
      const totals = new Totals(image.serviceCounters, image.backendCounters);
      const answered: Uint8Array[] = [];
      const random = new Random(seed + number);
      for (const batch of batchesFor(recipe, seed + number, summary)) {
        const frames = new Frames(batch, recipe.rules && movingClock(batch.length, random));
        const results = compareBatch(subjects, frames, recipe, again);
        totals.add(results[1]);
        countResults(summary, results);
        for (let i = 0; i < frames.count && answered.length < LIMITED_FRAMES; i++) {
          // One that a pipeline skips would leave its limit behind those of the others.
          const isSkipped = results.some((result) => result.get(i, R.VERDICT) === SKIPPED);
          const verdict = results[0].get(i, R.VERDICT);
          const isAnswered = verdict === L.V_TOO_BIG_ANSWERED || verdict === L.V_ECHO_ANSWERED;
          if (!isSkipped && isAnswered) answered.push(batch[i]);
        }
      }
      totals.mustEqual(reference.counters);
      if (answered.length > 0) {
        const frames = disordered(answered, new Random(seed + number));
        countResults(summary, compareBatch(subjects, frames, recipe, `${again}, the rate limit`, true));
      }
      if (options.onNode?.(summary) === false) break;
    }
  } finally {
    for (const subject of subjects) subject.close();
  }
  return summary;
}

/**
 * Runs one batch through all, the reference first.
 *
 * @param limited whether each frame finds the budgets of answers as those before it left them
 * @throws Error that explains the first difference
 */
export function compareBatch(
  subjects: readonly Subject[],
  frames: Frames,
  recipe: Recipe | string,
  again: string,
  limited = false,
): Results[] {
  const [first, ...others] = subjects;
  const reference = first.run(frames, limited);
  const results = [reference];
  for (const subject of others) {
    const result = subject.run(frames, limited);
    const at = firstDifference(reference, result, subject.name);
    if (at >= 0 && limited) {
      const [mine, theirs] = [reference, result].map((one) => verdictName(one.get(at, R.VERDICT)));
      throw new Error(
        `the rate limit differs at packet ${at} of ${frames.count}: ${mine} in ${first.name}, ${theirs} in ${subject.name}; to see it again: ${again}`,
      );
    }
    if (at >= 0) throw new Error(explain(subjects, recipe, frames.frame(at), again));
    const rule = guardedDifference(first, subject);
    if (rule !== undefined) throw new Error(`${rule}; to see it again: ${again}`);
    results.push(result);
  }
  return results;
}

function* batchesFor(recipe: Recipe, seed: number, summary: Summary): Generator<Uint8Array[]> {
  const random = new Random(seed);
  const each = 1 + TWEAKS + DAMAGES;
  const generated = fc.sample(framesFor(recipe), { numRuns: FRAMES_A_NODE / each, seed });
  const originals = FRAMES_A_BATCH / each;
  const few = (frame: Uint8Array): Uint8Array =>
    recipe.rules === undefined ? frame : fromFew(frame, random);
  for (let start = 0; start < generated.length; start += originals) {
    const batch: Uint8Array[] = [];
    for (const original of generated.slice(start, start + originals)) {
      batch.push(few(original));
      for (let i = 0; i < TWEAKS; i++) batch.push(few(tweaked(original, random)));
      for (let i = 0; i < DAMAGES; i++) batch.push(damaged(original, random.pick(generated), random));
      summary.nearlyRight += 1 + TWEAKS;
    }
    // What rules count, they count of every packet, so that one that a pipeline skips would make a difference for others.
    yield recipe.rules === undefined ? batch : shuffled(batch.filter(isForAll), random);
  }
}

/** Whether the kernel's test run takes a frame. */
function isForAll({ length }: Uint8Array): boolean {
  return length >= 14 && length <= 3520;
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((value) => ({ value, at: random.below(2 ** 31) }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

/** What rules counted otherwise than in the reference, in words. */
function guardedDifference(reference: Subject, other: Subject): string | undefined {
  for (const kind of ['own', 'state'] as const) {
    const [mine, theirs] = [reference.guarded[kind], other.guarded[kind]];
    const length = Math.min(mine.length, theirs.length);
    if (mine.length === 0 || mine.subarray(0, length).equals(theirs.subarray(0, length))) continue;
    const at = mine.findIndex((byte, i) => byte !== theirs[i]) & ~7;
    const [here, there] = [mine, theirs].map((bytes) => bytes.readBigUInt64LE(at).toString(16));
    return `what rules count differs at byte ${at} of ${kind}: ${here} in ${reference.name}, ${there} in ${other.name}`;
  }
  return undefined;
}

/** Packets in disorder and each more than once: while the limit lasts, all must stay silent on the same ones. */
function disordered(packets: readonly Uint8Array[], random: Random): Frames {
  return new Frames(Array.from({ length: packets.length * 12 }, () => random.pick(packets)));
}

function countResults(summary: Summary, results: readonly Results[]): void {
  const [reference, host, withoutLanes, bpf] = results;
  summary.packets += reference.count;
  for (let i = 0; i < reference.count; i++) {
    summary.verdicts[reference.get(i, R.VERDICT)]++;
    if (bpf?.get(i, R.VERDICT) === SKIPPED) summary.skippedByBpf++;
    if (withoutLanes.get(i, R.BY_LANE) === 1) throw new Error('a packet took a lane that is not there');
    if (host.get(i, R.BY_LANE) === 0) continue;
    const kind = kindOf(reference.frame(i), reference.get(i, R.L2_LENGTH));
    summary.lanes.set(kind, (summary.lanes.get(kind) ?? 0) + 1);
  }
}

/** What a forwarded frame looks like. */
function kindOf(frame: Buffer, l2Length: number): string {
  const outer = frame[l2Length] >> 4;
  const gre = l2Length + (outer === 4 ? 20 : 40);
  const inner = frame.readUInt16BE(gre + 2) === 0x0800 ? 4 : 6;
  const marks = [l2Length === 14 ? '' : ', tagged', (frame[gre] & 0x20) === 0 ? '' : ', keyed'];
  return `IPv${inner} in IPv${outer}${marks.join('')}`;
}

/** Counters as whoever runs the C pipeline keeps them. */
class Totals {
  readonly #counters = new Counters();

  constructor(services: number, backends: number) {
    this.#counters.grow(services, backends);
  }

  add(results: Results): void {
    const { verdicts, services, backends } = this.#counters;
    for (let i = 0; i < results.count; i++) {
      const verdict = results.get(i, R.VERDICT);
      verdicts[verdict]++;
      if (!isForwarded(verdict)) continue;
      for (const [list, word] of [
        [services, R.SERVICE_COUNTER],
        [backends, R.BACKEND_COUNTER],
      ] as const) {
        const at = results.get(i, word) * COUNTERS_PER_ENTRY;
        list[at]++;
        list[at + 1] += results.get(i, R.BYTES);
      }
    }
  }

  mustEqual(reference: Counters): void {
    for (const list of ['verdicts', 'services', 'backends'] as const) {
      const [mine, theirs] = [this.#counters[list], reference[list]];
      const at = mine.findIndex((value, i) => value !== theirs[i]);
      if (at >= 0) throw new Error(`${list}, counter ${at}: ${theirs[at]} in TypeScript, ${mine[at]} in C`);
    }
  }
}

/** Verdicts by how often they came, most often first. */
export function histogram(summary: Summary): string {
  return VERDICTS.map(({ name }, i) => ({ name, count: summary.verdicts[i] }))
    .sort((a, b) => b.count - a.count)
    .map(({ name, count }) => `  ${name.padEnd(24)}${String(count).padStart(10)}`)
    .join('\n');
}
