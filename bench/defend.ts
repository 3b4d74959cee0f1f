/**
 * What does defence cost a packet? The forwarding program with its rules, by test runs as in bench/xdp.ts, with a million sources: every
 * packet comes from another one, as under a flood.
 *
 *   node build/bench/defend.js [--quick]
 *
 * Needs root.
 */
import { availableParallelism } from 'node:os';
import { sizesFor } from '../scripts/native/forwarder.js';
import { imageOf, VIP4, VIP6 } from '../test/forward/fixture.js';
import { missingForIsolation } from '../test/isolation.js';
import { NODE_MAC } from '../test/packets/build.js';
import { macBytes } from '../test/packets/layer.js';
import { PORT, smallPackets } from './defend/packets.js';
import { median, report, skip } from './report.js';
import { spread } from './xdp/harness.js';
import { Loads } from './xdp/loads.js';

const quick = process.argv.includes('--quick');
const LOADS = quick ? 2 : 5;
/** Of each load. */
const TURNS = quick ? { turns: 2, packets: 2048 } : { turns: 9, packets: 1 << 18 };
const SOURCES = 1 << 20;
/** The last one: interrupts tend to go to the first. */
const CPU = availableParallelism() - 1;
const FAMILIES = [4, 6] as const;

const image = imageOf({
  mac: macBytes(NODE_MAC),
  slots: 65537,
  pools: { web: Array.from({ length: 100 }, (_, i) => ({ address: `10.1.0.${i + 1}` })) },
  services: [VIP4, VIP6].map((vip) => ({ vip, protocol: 'tcp', port: PORT })),
});

const missing = missingForIsolation('ethtool');
if (missing !== false) skip('defend', missing);
else measure();

function measure(): void {
  const loads = new Loads(LOADS, CPU, sizesFor([image]));
  loads.publish(image);
  for (const family of FAMILIES) {
    const traffic = smallPackets(family, SOURCES);
    const [floor, subject] = loads.compare(TURNS, ({ harness, subject }) => [
      { subject: harness.floor, traffic },
      { subject, traffic },
    ]);
    report({
      bench: `defend, IPv${family}, no rules, a million sources, over the floor`,
      value: median(subject.ratios),
      unit: 'x',
      note: `ratio ${spread(subject.ratios, 2)}; ns: ${median(subject.ns).toFixed(1)}, floor ${median(floor.ns).toFixed(1)}`,
    });
  }
  loads.close();
}
