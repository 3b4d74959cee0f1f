/**
 * Many simulated fleets, one after the other, in a thread of its own: the test runner follows every promise of its own thread, which takes
 * several times as long as the fleets do.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import fc from 'fast-check';
import { SimulatedClock } from './clock.js';
import { type Command, commands, DEEP, run } from './commands.js';
import { SimulatedEtcd } from './etcd.js';
import { DIFFER_MS, RESTORED_MS, World } from './world.js';

const [FORWARDERS, AGENTS] = [2, 1];
/** Forwarders that differ must not for so long, with whatever is wrong. */
const LEFT_MS = DIFFER_MS + RESTORED_MS + 1_000;
/** After it, everybody has noticed what was lost: agents within 60 s and an answer. */
const MENDED_MS = 66_000;
/** For a change that nothing is in the way of. */
const APPLY_MS = 15_000;

export interface Asked {
  readonly seed: number;
  readonly runs: number;
  /** Then no other one begins. */
  readonly secondsMax: number;
  readonly path?: string | undefined;
}

export interface Found {
  readonly runs: number;
  /** Undefined when no law was broken. */
  readonly broken?: string;
  readonly path?: string | null;
}

async function lives(seed: number, list: readonly Command[]): Promise<void> {
  const clock = new SimulatedClock(seed);
  clock.begin();
  const world = new World(new SimulatedEtcd(clock), FORWARDERS, AGENTS);
  try {
    for (const host of world.hosts) host.start();
    await clock.pass(500, world.look);
    world.operators.apply();
    await clock.pass(1_000, world.look);
    for (const command of list) await run(world, command);
    await clock.pass(LEFT_MS, world.look, () => world.isAlike);
    world.mend();
    await clock.pass(MENDED_MS, world.look, () => world.lacksHead() === undefined);
    world.require(world.lacksHead());
    const last = world.operators.apply();
    await clock.pass(APPLY_MS, world.look, () => world.lacks(last) === undefined);
    world.require(world.lacks(last));
  } finally {
    world.close();
    clock.end();
  }
  if (world.broken !== undefined) throw new Error(world.broken);
}

function inWords(list: readonly Command[]): string {
  return list.map((command) => Object.values(command).map(inWord).join(' ')).join(', ');
}

function inWord(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export async function search({ seed, runs, secondsMax, path }: Asked): Promise<Found> {
  const endMs = performance.now() + secondsMax * 1_000;
  let done = 0;
  const property = async (chance: number, list: readonly Command[]): Promise<void> => {
    if (done >= DEEP.length && performance.now() > endMs) return;
    await lives(chance, list);
    done++;
  };
  const found = await fc.check(fc.asyncProperty(fc.integer(), commands(FORWARDERS + AGENTS), property), {
    seed,
    numRuns: runs,
    examples: DEEP.map((list): [number, Command[]] => [0, [...list]]),
    ...(path !== undefined && { path }),
  });
  if (!found.failed) return { runs: done };
  const { counterexample, counterexamplePath, errorInstance, numRuns } = found;
  const [, list] = counterexample!;
  return {
    runs: numRuns,
    broken: `${(errorInstance as Error).message}\n${inWords(list)}`,
    path: counterexamplePath,
  };
}

if (!isMainThread) parentPort!.postMessage(await search(workerData as Asked));
