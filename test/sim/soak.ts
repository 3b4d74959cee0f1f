/**
 * Random lists of events through the simulator until the given number of seeds is done (100,000 when not given). Prints
 * a line with what was run; when a law fails, the shortest list of events for which it does, in words, and exits 1.
 *
 *   node build/scripts/soak/simulate.js [runs] [seed]
 */
import fc from 'fast-check';
import { anyScenario, breaks, isExcused, story } from './scenario.js';

const [runs = 100_000, seed = Math.floor(Date.now() / 1000)] = process.argv.slice(2).map(Number);
const started = performance.now();
let events = 0;
let broken = 0;
const found = fc.check(
  fc.property(anyScenario, (scenario) => {
    const list = breaks(scenario);
    events += scenario.events.length;
    broken += list.length;
    return list.every(isExcused);
  }),
  { numRuns: runs, seed },
);
const seconds = ((performance.now() - started) / 1000).toFixed(0);
if (found.failed) {
  const [shortest] = found.counterexample!;
  console.error(
    `simulate: seed ${seed}, a law fails after ${found.numRuns} of ${runs} lists of events\n${story(shortest)}`,
  );
  process.exitCode = 1;
} else {
  console.log(
    `simulate: ${found.numRuns} lists of events (${events} events), seed ${seed}, ${seconds} s: every law held; ` +
      `${broken} connections broke, all of them between overlapping changes`,
  );
}
