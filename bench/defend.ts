/**
 * What does defence cost a packet, and what does it keep from real clients? The forwarding program under rules by test runs and over a veth,
 * as in bench/xdp.ts, a list of a million prefixes from its file on, and clients under a flood of spoofed SYNs.
 *
 *   node build/bench/defend.js [--quick]
 *
 * Needs root.
 */
import { availableParallelism } from 'node:os';
import { L } from '#anyhop/core/layout.gen.js';
import { SPOOFED_NETS } from '../scripts/native/clients.js';
import { missingForIsolation } from '../test/isolation.js';
import { measureClients } from './defend/clients.js';
import { Cost } from './defend/cost.js';
import { load, measureLoading, withListFile } from './defend/loading.js';
import { measureAnswerRate, measureDropRate } from './defend/rates.js';
import { sizesWith } from './defend/rules.js';
import { report, skip } from './report.js';
import { Loads } from './xdp/loads.js';

const quick = process.argv.includes('--quick');
const LOADS = quick ? 2 : 5;
/** Of each load. */
const TURNS = quick ? { turns: 2, packets: 2048 } : { turns: 9, packets: 1 << 18 };
const VETH_TURNS = quick ? { turns: 1, packets: 20_000 } : { turns: 15, packets: 400_000 };
const PREFIXES = quick ? 50_000 : 1_000_000;
const LOADINGS = quick ? 1 : 5;
const CLIENTS = quick
  ? { held: 20, shortsPerSecond: 20, seconds: 1, rate: 20_000 }
  : { held: 1_000, shortsPerSecond: 200, seconds: 15, rate: 1_000_000 };
/** The last one: interrupts tend to go to the first. */
const CPU = availableParallelism() - 1;

const missing = missingForIsolation('ethtool', 'nginx');
if (missing !== false) skip('defend', missing);
else await measure();

async function measure(): Promise<void> {
  await measureClients(CLIENTS);
  await withListFile(PREFIXES, async (path) => {
    await measureLoading(path, PREFIXES, LOADINGS);
    const { compiled } = await load(path);
    const loads = new Loads(LOADS, CPU, sizesWith(2 * compiled.length));
    // The memory of both buffers is new, and there is none behind it yet.
    for (let buffer = 0; buffer < L.LISTS_BUFFERS; buffer++) await loads.publishLists(compiled);
    report({
      bench: `defend, ${PREFIXES.toLocaleString('en')} prefixes put in force`,
      value: await loads.publishLists(compiled),
      unit: 'ms',
      target: 50,
    });
    loads.tellFleetTime();
    const cost = new Cost(loads, TURNS, PREFIXES);
    cost.off();
    cost.idle();
    cost.passed();
    cost.blocked();
    cost.answered();
    await loads.publishLists((await load(path, SPOOFED_NETS[4])).compiled);
    await measureDropRate(loads.all[0], CPU, VETH_TURNS);
    await measureAnswerRate(loads.all[0], CPU, VETH_TURNS);
    loads.close();
  });
}
