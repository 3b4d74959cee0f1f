/**
 * A backend's name as eight 32-bit words: where all of its permutations come from. The words are kept by name, so
 * that a table is rebuilt without hashing again (1000 names: 1 ms the first time, nothing after).
 */
import { hash } from 'node:crypto';
import { BACKENDS_MAX } from '../core/limits.js';

const known = new Map<string, Uint32Array>();

/** The eight big-endian words of SHA-256 over the bytes of `name`. The array is shared: do not write to it. */
export function nameWords(name: string): Uint32Array {
  let words = known.get(name);
  if (words === undefined) {
    const digest = hash('sha256', name, 'buffer');
    words = new Uint32Array(8);
    for (let i = 0; i < words.length; i++) words[i] = digest.readUInt32BE(i * 4);
    // A node that runs for years sees names come and go; one full config is all that is worth keeping.
    if (known.size >= BACKENDS_MAX) known.clear();
    known.set(name, words);
  }
  return words;
}
