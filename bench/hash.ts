/**
 * What does the flow hash cost in TypeScript, compared with HalfSipHash-1-3 in TypeScript, its yardstick? Each hash is part of the next
 * one's input, so this is the time until a hash is there: what the pipeline waits for. `--quick` runs a little of it.
 */
import { flowHashFive, flowHashPair } from '#anyhop/hash/flow.js';
import { halfSip } from '../test/hash/subjects.js';
import { alone } from './alone.js';
import { cpuTime } from './pipeline/traffic.js';
import { median, report } from './report.js';

const quick = process.argv.includes('--quick');
const [HASHES, WARM_UP, TURNS] = quick ? [1000, 2, 5] : [100_000, 20, 201];
const FLOWS = ['IPv4', 'IPv6'] as const;
const KEY = Int32Array.from({ length: 10 }, (_, i) => Math.imul(i + 1, 0x9e3779b1));

function measure(flow: (typeof FLOWS)[number]): void {
  const words = flow === 'IPv4' ? 2 : 5;
  const input = new Int32Array(5).fill(7);
  const ours = (): number => {
    let hash = 0;
    for (let i = 0; i < HASHES; i++) {
      input[0] = hash;
      hash = words === 2 ? flowHashPair(KEY, 0, hash, 7) : flowHashFive(KEY, 0, input);
    }
    return hash;
  };
  const theirs = (): number => {
    let hash = 0;
    for (let i = 0; i < HASHES; i++) {
      input[0] = hash;
      hash = halfSip(KEY[0], KEY[1], input, words);
    }
    return hash;
  };
  /** ns a hash. */
  const time = (work: () => number): number => {
    const before = cpuTime();
    work();
    return (cpuTime() - before) / HASHES;
  };
  const turn = (): number[] => [ours, theirs].map(time);
  for (let i = 0; i < WARM_UP; i++) turn();
  const turns = Array.from({ length: TURNS }, turn);
  const [flowNs, halfSipNs] = [0, 1].map((side) => median(turns.map((both) => both[side])));
  report({
    bench: `flow hash, ${flow} 5-tuple: over HalfSipHash-1-3, both in TypeScript`,
    value: flowNs / halfSipNs,
    unit: 'x',
    target: 1,
    note: `medians of ${TURNS} turns: flow hash ${flowNs.toFixed(1)}, HalfSipHash ${halfSipNs.toFixed(1)} ns, each hash part of the next one's input`,
  });
}

alone(FLOWS, measure);
