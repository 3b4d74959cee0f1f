/** The sources that send most, as the sketch came across them (anyhop_candidate, native/include/anyhop/defend.h). */
import { L } from '../core/layout.gen.js';
import { flowHash } from '../hash/flow.js';
import type { Image } from '../image/read.js';
import { CANDIDATE_WORDS, CANDIDATES_WORD, SKETCH_WORD } from './guard-state.js';
import { firstCell, leftAt, PACKETS_WORD, pairSliding, secondCell, windowAt } from './sketch.js';

export interface Candidate {
  /** The first bytes of its addresses, as many as a whole address has. */
  readonly address: Uint8Array;
  /** Bits of an address that are the source. */
  readonly prefix: number;
  /** Whose source it is: the counter number of a service, or undefined where the node's services count together. */
  readonly service: number | undefined;
  /** By the sketch: at least what it was let through, in the time of a window up to now. */
  readonly packets: number;
  /** Since it came among the candidates, to within CANDIDATE_SAMPLE; in observe mode what would have been. */
  readonly dropped: number;
}

const FAMILY = 15;
const NETWORK_BITS = { 4: 24, 6: 48 } as const;

/** Those that were seen in this window or the one before. @param now in units */
export function candidatesOf(image: Image, state: Int32Array, now: number): Candidate[] {
  if (image.rulesWord === 0) return [];
  const reciprocal = image.words[image.rulesWord + L.DEFENCE_RECIPROCAL / 4];
  const window = windowAt(now, reciprocal);
  const left = leftAt(now, reciprocal);
  return Array.from({ length: L.CANDIDATES }, (_, i) => CANDIDATES_WORD + i * CANDIDATE_WORDS).flatMap(
    (at) => {
      const who = state[at + L.CANDIDATE_WHO / 4];
      const age = (window - state[at + L.CANDIDATE_WINDOW / 4]) >>> 0;
      if (who === 0 || age > 1) return [];
      const family = (who & FAMILY) === 4 ? 4 : 6;
      const words = family === 4 ? [state[at], who] : [...state.slice(at, at + 4), who];
      const hash = flowHash(
        image.words,
        image.rulesWord + L.DEFENCE_KEY / 4,
        Int32Array.from(words),
        words.length,
      );
      const first = firstCell(SKETCH_WORD, hash) + PACKETS_WORD;
      const second = secondCell(SKETCH_WORD, hash) + PACKETS_WORD;
      const scope = who >>> 8;
      return {
        address: new Uint8Array(state.slice(at, at + family - (family === 4 ? 3 : 2)).buffer),
        prefix: (who & L.WHO_NETWORK) !== 0 ? NETWORK_BITS[family] : prefixOf(image, scope, family),
        service: scope === 0 ? undefined : scope - 1,
        packets: pairSliding(state, first, second, window, left),
        dropped: state[at + L.CANDIDATE_DROPPED / 4] >>> 0,
      };
    },
  );
}

/** Of the rules that count in a scope; all of them have the same bits. */
function prefixOf({ bytes, words, rulesWord, serviceCounters }: Image, scope: number, family: 4 | 6): number {
  for (let counter = 0; counter < serviceCounters; counter++) {
    const rules = rulesWord * 4 + L.SIZEOF_DEFENCE + counter * L.SIZEOF_RULES;
    const flags = words[(rules + L.RULES_FLAGS) / 4];
    if ((flags & L.RULES_SOURCE) === 0 || words[(rules + L.RULES_SCOPE) / 4] !== scope) continue;
    return bytes[rules + (family === 4 ? L.RULES_PREFIX4 : L.RULES_PREFIX6)];
  }
  return family === 4 ? 32 : 64; // rules of a former image
}
