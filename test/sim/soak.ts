/**
 * The laws of the simulator for SOAK_SEEDS (100000) random lists of events, from ANYHOP_SEED or a new seed. When a law
 * fails it prints the shortest list of events for which it does, in words.
 */
import fc from 'fast-check';
import { seedOfRun } from '../differential/random.js';
import { anyScenario, breaks, isExcused, story } from './scenario.js';

const runs = Number(process.env['SOAK_SEEDS'] ?? 100_000);
const seed = seedOfRun();
const start = Date.now();
let events = 0;
let broken = 0;
console.log(`soak: ${runs} lists of events to simulate, seed ${seed}`);
const found = fc.check(
  fc.property(anyScenario, (scenario) => {
    const list = breaks(scenario);
    events += scenario.events.length;
    broken += list.length;
    return list.every(isExcused);
  }),
  { numRuns: runs, seed },
);
if (found.failed) {
  const [shortest] = found.counterexample!;
  console.error(`simulate: a law fails, seed ${seed}, after ${found.numRuns} of ${runs}\n${story(shortest)}`);
  process.exitCode = 1;
} else {
  const seconds = ((Date.now() - start) / 1000).toFixed(0);
  console.log(
    `simulate: ${found.numRuns} lists, ${events} events, seed ${seed}, ${seconds} s: every law holds; ${broken} ` +
      'connections broke, all of them between overlapping changes or nodes that disagreed for long',
  );
}
