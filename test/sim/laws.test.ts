/** A few hundred random lists of events for each law; `make soak` has more. ANYHOP_SEED=n runs the same again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seedOfRun } from '../differential/random.js';
import { failureOf, LAWS } from './laws.js';

const seed = seedOfRun();

for (const law of LAWS) {
  test(law.name, () => {
    const failure = failureOf(law, { runs: law.runs, seed });
    if (failure !== undefined) assert.fail(failure);
  });
}
