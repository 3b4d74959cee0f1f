/**
 * The differential test for as long as one has time: SOAK_PACKETS (10000000) packets, at most SOAK_SECONDS (1800) seconds, from
 * ANYHOP_SEED or a new seed.
 */
import { seedOfRun } from './random.js';
import { histogram, runDifferential } from './run.js';

const PROGRESS_MS = 5000;

const packets = Number(process.env['SOAK_PACKETS'] ?? 10_000_000);
const secondsMax = Number(process.env['SOAK_SECONDS'] ?? 1800);
const seed = seedOfRun();
const withBpf = process.getuid?.() === 0;

const start = Date.now();
let told = start;
console.log(
  `soak: ${packets} packets, seed ${seed}${withBpf ? '' : ', without the BPF program, which needs root'}`,
);
try {
  const summary = runDifferential({
    seed,
    packets,
    withBpf,
    onNode: (summary) => {
      const now = Date.now();
      if (now - told >= PROGRESS_MS) {
        told = now;
        console.log(`soak: ${summary.packets} packets to ${summary.nodes} nodes, no difference`);
      }
      return now - start < secondsMax * 1000;
    },
  });
  console.log(histogram(summary));
  console.log(`differential: ${summary.packets} packets, seed ${seed}, 0 differences`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
