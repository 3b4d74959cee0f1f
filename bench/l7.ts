/**
 * What does the layer-7 tier cost, and what do the forwarders cost it? HAProxy under `anyhop l7 run`, behind a forwarder with its GRE tunnel and
 * agent, beside the same HAProxy to which the router sends straight; in one lab (bench/l7/fleet.ts), in turns.
 *
 * HAProxy answers most requests by itself, with a redirect: the config has no other answer without a server. The access log is off.
 * `--quick` measures a little of it.
 */
import { availableParallelism } from 'node:os';
import { missingForIsolation } from '../test/isolation.js';
import { Fleet } from './l7/fleet.js';
import { measureLatency } from './l7/latency.js';
import { measureRoutes, measureWays } from './l7/rates.js';
import { measurePolling, measureReloads, measureRest } from './l7/scale.js';
import { skip } from './report.js';

const quick = process.argv.includes('--quick');
const TOOLS = ['nft', 'ethtool', 'sysctl', 'taskset', 'chrt', 'nginx', 'openssl', 'haproxy', 'h2load'];

const missing = missingForIsolation(...TOOLS) || (availableParallelism() < 2 && 'needs two CPUs');
if (missing !== false) skip('l7', missing);
else {
  const fleet = await Fleet.create();
  try {
    await measure(fleet);
  } finally {
    await fleet.close();
  }
}

async function measure(fleet: Fleet): Promise<void> {
  await fleet.receiveApart(true);
  await measureWays(fleet, quick ? 1 : 8, quick ? 0.1 : 0.6);
  await measureRoutes(fleet, quick ? 1 : 10, quick ? 0.1 : 0.4);
  await fleet.receiveApart(false);
  await measureLatency(fleet, quick ? 1 : 4, quick ? 0.2 : 1.2, quick);
  await measureReloads(fleet, quick ? 1 : 5);
  await measureRest(fleet, quick ? 500 : 16_000);
  await measurePolling(fleet, quick ? 1 : 3, quick ? 0.3 : undefined);
}
