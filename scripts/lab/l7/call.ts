/**
 * Runs a function as a program of its own, in a machine of the lab: its argument and result travel as JSON.
 *
 *   const EXCHANGE = callable(import.meta.url, 'exchange', exchange);           // beside the exported function
 *   const answer = await callIn(lab.resources, lab.client.namespace, EXCHANGE, plan);
 *
 * One that runs until it is told to end gets a signal for that (`startCall` instead of `callIn`).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LabProcess } from '../process.js';
import type { Resources } from '../resources.js';

const PROGRAM = fileURLToPath(new URL('./call-program.js', import.meta.url));
const STOP_TIMEOUT_MS = 30_000;

/** What a called function has besides its argument. */
export interface CallContext {
  /** Aborted when the caller wants the result now. */
  readonly stop: AbortSignal;
  /** Tells the caller of something meanwhile: a line of JSON in the process's output. */
  print(event: object): void;
}

type Called<A, R> = (argument: A, context: CallContext) => Promise<R>;

/** An exported function of a module. */
export interface Callable<A, R> {
  readonly module: string;
  readonly name: string;
  /** Not there; carries the types. */
  readonly called?: Called<A, R>;
}

export interface Running<R> {
  readonly process: LabProcess;
  /** Waits for the end. */
  result(): Promise<R>;
  /** Asks for the end and waits for it. */
  stop(): Promise<R>;
}

let calls = 0;

export function callable<A, R>(module: string, name: string, _called: Called<A, R>): Callable<A, R> {
  return { module, name };
}

/** Starts it in a namespace, or in this process's own when none is given. */
export async function startCall<A, R>(
  resources: Resources,
  namespace: string | undefined,
  { module, name }: Callable<A, R>,
  argument: A,
): Promise<Running<R>> {
  calls += 1;
  const file = join(resources.directory, `call-${calls}.json`);
  writeFileSync(file, JSON.stringify(argument), { mode: 0o600 });
  const argv = [process.execPath, PROGRAM, module, name, file];
  const started = await resources.startProcess(name, namespace, argv);
  const result = async (): Promise<R> => {
    const { code, signal } = await started.exited;
    const line = started.lines.findLast((text) => text.startsWith('{"result":'));
    if (code !== 0 || line === undefined)
      throw new Error(`${name}: ended with ${signal ?? code}\n${started.tail()}`);
    return JSON.parse(line).result;
  };
  return {
    process: started,
    result,
    async stop() {
      await started.stop('SIGTERM', STOP_TIMEOUT_MS);
      return result();
    },
  };
}

/** Starts it and waits for its end. */
export async function callIn<A, R>(
  resources: Resources,
  namespace: string | undefined,
  target: Callable<A, R>,
  argument: A,
): Promise<R> {
  return (await startCall(resources, namespace, target, argument)).result();
}
