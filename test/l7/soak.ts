/** SOAK_VALUES (100000) hostile values in configs of the layer-7 tier, from ANYHOP_SEED or a new seed; HAProxy judges every config too. */
import { seedOfRun } from '../differential/random.js';
import { temporaryRun, withoutHaproxy } from './haproxy-fixture.js';
import { checkInjection } from './injection.js';

const values = Number(process.env['SOAK_VALUES'] ?? 100_000);
const seed = seedOfRun();
const place = temporaryRun();

console.log(
  `soak: ${values} hostile values in configs of HAProxy, seed ${seed}${withoutHaproxy ? ', without HAProxy' : ''}`,
);
try {
  const start = Date.now();
  const run = withoutHaproxy === false ? place.run : undefined;
  const { tried, refusedByLoader, refusedByRenderer } = await checkInjection({ values, seed, run });
  const seconds = ((Date.now() - start) / 1000).toFixed(0);
  console.log(
    `injection: ${tried} values, ${seconds} s: none became a directive; the loader refused ${refusedByLoader}, the renderer ${refusedByRenderer}`,
  );
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  place.remove();
}
