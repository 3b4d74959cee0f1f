/**
 * How long a change of a fleet takes from `anyhop fleet apply` until every node forwards by it: 8 nodes, 1,000 backends, one etcd, all of
 * them on this machine. Needs root.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createLabFleet, type LabFleet } from '../scripts/lab/fleet.js';
import { createLab } from '../scripts/lab/lab.js';
import type { LabProcess } from '../scripts/lab/process.js';
import { VIP4, VIP6 } from '../scripts/lab/topology.js';
import { missingForIsolation } from '../test/isolation.js';
import { cpuMs } from './l7/cores.js';
import { median, report, skip } from './report.js';

const quick = process.argv.includes('--quick');
const [NODES, BACKENDS, CHANGES] = quick ? [2, 20, 1] : [8, 1_000, 5];
const POOL = 'web';
const PORT = 80;
const TARGET_MS = { whole: 1_000, switched: 200 };
/** The least that a config takes: a change is not to wait for the one before it. */
const SETTLE_MS = 1_000;
const STARTED_MS = 120_000;
/** A node that has switched still writes to its disk, and logs. */
const CALM_MS = 3_000;
/** Three of the times that a node reads everything. */
const IDLE_MS = quick ? 3_000 : 30_000;
const IDLE_PERCENT_TARGET = 1;

const missing = missingForIsolation('nft', 'ethtool', 'sysctl', 'nginx', 'etcd');
if (missing !== false) skip('fleet', missing);
else await measure();

interface Times {
  readonly commandMs: number;
  readonly prepareMs: number;
  readonly switchMs: number;
  /** Processor time of a node, on the average. */
  readonly nodeMs: number;
}

async function measure(): Promise<void> {
  // Nothing runs there: only the way to them counts.
  const backends = Array.from({ length: BACKENDS }, (_, i) => ({
    ...{ name: `web-${i + 1}`, address: `10.1.${100 + Math.floor(i / 250)}.${1 + (i % 250)}`, agent: false },
  }));
  const service = { port: PORT, backends, pool: POOL } as const;
  const lab = await createLab({
    forwarders: NODES,
    backends: 0,
    engine: 'portable',
    services: [
      { ...service, name: 'web4', vip: VIP4 },
      { ...service, name: 'web6', vip: VIP6 },
    ],
    pool: { settle_time: `${SETTLE_MS}ms` },
    webServers: false,
  });
  try {
    const fleet = await createLabFleet(lab);
    const waits = { until: 'fleet_waits' };
    const nodes = await Promise.all(lab.forwarders.map((_, i) => fleet.startForwarder(i, waits)));
    // On a busy machine, nodes take longer to start than the command waits for them.
    await fleet.anyhop(['fleet', 'apply', fleet.file]).catch(() => undefined);
    await Promise.all(nodes.map((node) => node.waitForEvent('fleet_active', STARTED_MS)));
    const times: Times[] = [];
    for (let i = 0; i < CHANGES; i++) {
      await delay(SETTLE_MS + CALM_MS);
      times.push(await changed(fleet, nodes, i));
    }
    await delay(SETTLE_MS + CALM_MS);
    tell(times, await idlePercent(nodes));
  } finally {
    await lab.close();
  }
}

/** Gives one backend another weight, everywhere. */
async function changed(fleet: LabFleet, nodes: readonly LabProcess[], index: number): Promise<Times> {
  const nodesMs = (): number => nodes.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
  fleet.change(({ pools }) => {
    pools[POOL].backends[index].weight = 2;
  });
  const [startMs, startNodesMs] = [performance.now(), nodesMs()];
  const { prepareMs, waitMs, switchMs, late } = JSON.parse(
    await fleet.anyhop(['fleet', 'apply', fleet.file, '--json']),
  );
  if (late.length > 0) throw new Error(late.join('\n'));
  if (waitMs > SETTLE_MS / 2) throw new Error(`it waited ${waitMs} ms for the change before`);
  const commandMs = performance.now() - startMs;
  return { commandMs, prepareMs, switchMs, nodeMs: (nodesMs() - startNodesMs) / NODES };
}

/** Of a core, on the average, while nothing happens. */
async function idlePercent(nodes: readonly LabProcess[]): Promise<number> {
  const nodesMs = (): number => nodes.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
  const [startMs, startNodesMs] = [performance.now(), nodesMs()];
  await delay(IDLE_MS);
  return (100 * (nodesMs() - startNodesMs)) / NODES / (performance.now() - startMs);
}

function tell(times: readonly Times[], idle: number): void {
  const what = `fleet, ${NODES} nodes, ${BACKENDS} backends`;
  const line = (name: string, all: readonly number[], target?: number): void =>
    report({
      bench: `${what}: ${name}`,
      value: median(all),
      unit: 'ms',
      target,
      note: `${all.length} changes: ${Math.min(...all).toFixed(0)} to ${Math.max(...all).toFixed(0)} ms`,
    });
  line(
    'asked to in force everywhere',
    times.map(({ prepareMs, switchMs }) => prepareMs + switchMs),
    TARGET_MS.whole,
  );
  line(
    'in force in the store to in force on the last node',
    times.map(({ switchMs }) => switchMs),
    TARGET_MS.switched,
  );
  line(
    'processor time of a node for it',
    times.map(({ nodeMs }) => nodeMs),
  );
  line(
    'the whole command, with its plan',
    times.map(({ commandMs }) => commandMs),
  );
  report({
    bench: `${what}: a node in which nothing happens`,
    value: idle,
    unit: '% of a core',
    target: IDLE_PERCENT_TARGET,
  });
}
