/** Drains a backend and follows it until no connection is left, on one node or in the whole fleet, by what a node here tells. */
import type { NodeStatus } from '../api/status.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { type BackendCommandOptions, change, changeBackend } from './change.js';
import { drawChange } from './change-text.js';
import { ask, findSocket } from './control-client.js';
import { drainsOf, drawDrain, followDrains, isOver, type PoolDrain } from './drain-progress.js';
import { isForFleet } from './fleet-or-node.js';
import { writeOut, writeResult } from './output.js';
import { ProgressLine } from './progress-line.js';

const ASK_INTERVAL_MS = 1_000;
/** Long enough for a restart of the node. */
const SILENCE_MS_MAX = 60_000;

/** Prints what was asked for, progress, and how each drain ended; resolves to undefined when it was refused, and that was printed. */
export async function drainAndFollow(
  backend: string,
  options: BackendCommandOptions,
): Promise<readonly PoolDrain[] | undefined> {
  const { pool, force = false, json } = options;
  if (await isForFleet(options)) return drainInFleet(backend, options);
  const done = await change('/drain', { backend, pool, force }, options);
  if (done === undefined) return undefined;
  const { socket, report } = done;
  if (!json) writeOut(drawChange(report));
  const drains = await follow(socket, drainsOf(backend, report.pools));
  return told(drains, { ...report, drains }, json);
}

/** A node that runs here tells how far the drain has come: it is the same on every node. */
async function drainInFleet(backend: string, options: BackendCommandOptions): Promise<readonly PoolDrain[]> {
  const { pool, json } = options;
  const socket = await findSocket();
  await changeBackend('/drain', { backend }, { state: 'draining' }, options);
  const { pools } = (await ask(socket, '/status')) as NodeStatus;
  const started = poolsWith(pools, backend, pool).map(
    ({ name }): PoolDrain => ({ pool: name, backend, stage: 'waiting', connections: null }),
  );
  const drains = await follow(socket, started);
  return told(drains, { drains }, json);
}

function told(drains: readonly PoolDrain[], answer: object, json: true | undefined): readonly PoolDrain[] {
  writeResult(json, answer, () => drains.map((one) => `${drawDrain(one)}\n`).join(''));
  return drains;
}

function poolsWith(
  pools: NodeStatus['pools'],
  backend: string,
  only: string | undefined,
): NodeStatus['pools'] {
  return pools.filter(
    ({ name, backends }) => (only ?? name) === name && backends.some((one) => one.name === backend),
  );
}

async function follow(socket: string, first: readonly PoolDrain[]): Promise<readonly PoolDrain[]> {
  let drains = first;
  await until(socket, (status) => {
    drains = followDrains(drains, status);
    return drains.every(isOver) ? undefined : drains.map((one) => drawDrain(one)).join('; ');
  });
  return drains;
}

/**
 * Waits until a backend is in no pool of the node any more, after it was asked to be removed.
 * @throws AnyhopError when somebody took that back
 */
export async function untilGone(socket: string, backend: string, only: string | undefined): Promise<void> {
  await until(socket, ({ pools }) => {
    const left = poolsWith(pools, backend, only);
    const kept = left.find(({ change: { queued } }) => queued.length === 0);
    if (kept !== undefined)
      throw new AnyhopError('ERR_USAGE', `${kept.name}/${backend} stays: its removal was cancelled`, {
        exitCode: EXIT.failure,
        hint: '`anyhop changes` and `anyhop status` show what the node has.',
      });
    return left.length === 0
      ? undefined
      : left.map(({ name }) => `${name}/${backend}: its removal waits`).join('; ');
  });
}

/** Asks the node again and again until `look` has nothing to say. */
async function until(socket: string, look: (status: NodeStatus) => string | undefined): Promise<void> {
  const line = new ProgressLine();
  let answeredAtMs = performance.now();
  let words: string | undefined = '';
  for (;;) {
    const nowMs = performance.now();
    const status = await answer(socket, nowMs - answeredAtMs);
    line.clear();
    if (status !== undefined) {
      answeredAtMs = nowMs;
      words = look(status);
    }
    if (words === undefined) return;
    line.show(words);
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
