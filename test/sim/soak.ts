/**
 * The laws of the simulator for SOAK_SEEDS (100000) random lists of events in all, from ANYHOP_SEED or a new seed. When
 * a law fails it prints the shortest list of events for which it does, in words, and how to see that one again:
 * SOAK_LAW is the one law to run, SOAK_PATH the list of its that failed.
 */
import { seedOfRun } from '../differential/random.js';
import { failureOf, LAWS } from './laws.js';

const lists = Number(process.env['SOAK_SEEDS'] ?? 100_000);
const only = process.env['SOAK_LAW'];
const path = process.env['SOAK_PATH'];
const seed = seedOfRun();

const laws = LAWS.filter(({ id }) => only === undefined || id === only);
if (laws.length === 0) throw new RangeError(`SOAK_LAW is one of ${LAWS.map(({ id }) => id).join(', ')}`);
if (path !== undefined && only === undefined)
  throw new RangeError('SOAK_PATH is of one law: name it, SOAK_LAW');
const shares = laws.reduce((sum, { runs }) => sum + runs, 0);

console.log(`soak: ${lists} lists of events to simulate, seed ${seed}`);
for (const law of laws) {
  const start = Date.now();
  const runs = Math.ceil((lists * law.runs) / shares);
  const failure = failureOf(law, { runs, seed, path });
  if (failure === undefined) {
    const seconds = ((Date.now() - start) / 1000).toFixed(0);
    console.log(`simulate: ${path === undefined ? runs : 1} lists, ${seconds} s: ${law.name}`);
  } else {
    console.error(`simulate: seed ${seed}: ${failure}`);
    process.exitCode = 1;
  }
}
