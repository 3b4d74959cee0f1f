/** `anyhop drain`: a backend gets no new flows and keeps those it has; --wait waits until none is left. */
import type { Command } from 'commander';
import type { ChangeReport } from '../api/api.js';
import type { NodeStatus } from '../api/status.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { type BackendCommandOptions, backendCommand, change, changeBackend } from './change.js';
import { drawChange } from './change-text.js';
import { ask, findSocket } from './control-client.js';
import { drainsOf, drawDrain, followDrains, isOver, type PoolDrain } from './drain-progress.js';
import { isForFleet } from './fleet-or-node.js';
import { writeOut, writeResult } from './output.js';
import { ProgressLine } from './progress-line.js';

const ASK_INTERVAL_MS = 1_000;
/** Long enough for a restart of the node. */
const SILENCE_MS_MAX = 60_000;

interface DrainOptions extends BackendCommandOptions {
  readonly wait?: true;
}

export function drainCommand(): Command {
  return backendCommand('drain')
    .summary('stop sending new flows to a backend')
    .description(
      'Drains a backend, on a running node whatever the config file says, or in the whole fleet: it gets no new flows and keeps those it has.',
    )
    .option('--wait', 'wait until no connection is left or drain_deadline has passed')
    .addHelpText(
      'after',
      `
The backend's slots go to the others. With second chance, it keeps its connections for as long as it drains. Remove it from the
config file when it has none left. Two planned changes may overlap; a third, such as this drain, waits until one of them has settled.
On one node, the override survives restarts. It ends when the config file says the same or no longer has the backend. Without a fleet,
run it on each node.
--wait follows the number of TCP connections that the backend's agent reports. Without an agent this number is unknown, and the
drain ends at the deadline. Progress goes to standard error. Ctrl-C ends the wait, not the drain. In a fleet, a node must run here: it knows how far the
drain has come, and --json prints a second object with that.
Exit codes: 0 in force or waiting, with --wait: drained in every pool; 1 refused, no node answers, or with --wait: ended in
another way, such as by the deadline; 2 wrong usage, such as an unknown backend.

Examples:
  anyhop drain web-2 --plan
  anyhop drain web-2
  anyhop drain web-2 --wait && ssh web-2 reboot
  anyhop drain web-2 --fleet -m 'new disks'`,
    )
    .action(drain);
}

async function drain(backend: string, options: DrainOptions): Promise<void> {
  const { pool, wait, plan, force = false, json } = options;
  if (!wait || plan) return changeBackend('/drain', { backend }, { state: 'draining' }, options);
  if (await isForFleet(options)) return drainInFleet(backend, options);
  const done = await change('/drain', { backend, pool, force }, options);
  if (done === undefined) return;
  const { socket, report } = done;
  if (!json) writeOut(drawChange(report));
  await waitFor(socket, backend, report, json === true);
}

/** A node that runs here tells how far the drain has come: it is the same on every node. */
async function drainInFleet(backend: string, options: DrainOptions): Promise<void> {
  const { pool, json } = options;
  const socket = await findSocket();
  await changeBackend('/drain', { backend }, { state: 'draining' }, options);
  const { pools } = (await ask(socket, '/status')) as NodeStatus;
  const named = pools.filter(
    ({ name, backends }) => (pool ?? name) === name && backends.some((one) => one.name === backend),
  );
  const started = named.map(
    ({ name }): PoolDrain => ({
      pool: name,
      backend,
      stage: 'waiting',
      connections: null,
    }),
  );
  const drains = await follow(socket, started);
  writeResult(json, { drains }, () => drains.map((one) => `${drawDrain(one)}\n`).join(''));
  if (drains.some(({ stage }) => stage !== 'drained')) process.exitCode = EXIT.failure;
}

async function waitFor(socket: string, backend: string, report: ChangeReport, json: boolean): Promise<void> {
  const drains = await follow(socket, drainsOf(backend, report.pools));
  writeResult(json, { ...report, drains }, () => drains.map((one) => `${drawDrain(one)}\n`).join(''));
  if (drains.some(({ stage }) => stage !== 'drained')) process.exitCode = EXIT.failure;
}

async function follow(socket: string, first: readonly PoolDrain[]): Promise<readonly PoolDrain[]> {
  let drains = first;
  const line = new ProgressLine();
  let answeredAtMs = performance.now();
  for (;;) {
    const nowMs = performance.now();
    const status = await answer(socket, nowMs - answeredAtMs);
    if (status !== undefined) {
      answeredAtMs = nowMs;
      drains = followDrains(drains, status);
    }
    line.clear();
    if (drains.every(isOver)) return drains;
    line.show(drains.map((one) => drawDrain(one)).join('; '));
    await new Promise((resolve) => setTimeout(resolve, ASK_INTERVAL_MS));
  }
}

/** @throws AnyhopError when no node has answered for too long, after `silentMs` of silence */
async function answer(socket: string, silentMs: number): Promise<NodeStatus | undefined> {
  try {
    return (await ask(socket, '/status')) as NodeStatus;
  } catch (error) {
    if (!(error instanceof AnyhopError) || silentMs > SILENCE_MS_MAX) throw error;
    return undefined;
  }
}
