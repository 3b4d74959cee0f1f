/**
 * What the fuzzer of the C pipeline starts from (native/fuzz): the images of the recipes, and inputs made of generated
 * frames. Both are the same every time, so that an input that is kept goes on meaning what it meant.
 *
 *   node build/test/differential/export.js DIRECTORY [FRAMES]
 *
 * writes images.bin and, for FRAMES above 0, so many files a recipe into DIRECTORY/seeds.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { concat } from '../packets/build.js';
import { framesFor } from './packets.js';
import { imageFrom, RECIPES } from './recipe.js';

const SEED = 1;
/** FRAME_BYTES_MAX of native/fuzz/fuzz.h. */
const FRAME_BYTES_MAX = 4096;

const [directory, count = '0'] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: export.js DIRECTORY [FRAMES]');
const seeds = join(directory, 'seeds');
mkdirSync(seeds, { recursive: true });
writeFileSync(
  join(directory, 'images.bin'),
  concat(...RECIPES.map((recipe) => imageFrom(recipe, 1).bytes)), // their sizes are whole cache lines
);
for (const [number, recipe] of RECIPES.entries()) {
  if (Number(count) === 0) break;
  const frames = fc.sample(framesFor(recipe), { numRuns: Number(count), seed: SEED });
  for (const [i, frame] of frames.filter(({ length }) => length <= FRAME_BYTES_MAX).entries()) {
    writeFileSync(join(seeds, `${number}-${i}`), concat(Uint8Array.of(number, 0, 0, 0, 0, 0, 0, 0), frame));
  }
}
