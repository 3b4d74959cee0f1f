/**
 * BIRD in a machine of the lab, with its files in the lab's directory. It is started in the foreground, asked through its control
 * socket, and ended by its pid; several can run side by side.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../command.js';
import type { LabProcess } from '../process.js';
import type { Resources } from '../resources.js';

/** Programs that a lab with routing daemons needs besides the lab's own. */
export const BIRD_TOOLS = ['bird', 'birdc'];

const READY_TIMEOUT_MS = 10_000;
const POLL_INTERVAL_MS = 50;

export interface Bird {
  readonly process: LabProcess;
  /** Where its configuration is, for `configure`. */
  readonly file: string;
  /** What `birdc` prints to a command. */
  ask(command: string): Promise<string>;
  /** Waits until so many BGP sessions are established. */
  untilEstablished(sessions: number, timeoutMs: number): Promise<void>;
}

/** Starts it on a machine; resolves when it answers. */
export async function startBird(
  resources: Resources,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  config: string,
): Promise<Bird> {
  const of = (kind: string): string => join(resources.directory, `bird-${name}.${kind}`);
  const [file, socket] = [of('conf'), of('ctl')];
  writeFileSync(file, config);
  const argv = ['bird', '-f', '-c', file, '-s', socket, '-P', of('pid')];
  const process = await resources.startProcess(`bird ${name}`, namespace, argv);
  const ask = (command: string): Promise<string> => run(['birdc', '-s', socket, ...command.split(' ')]);
  const bird: Bird = {
    process,
    file,
    ask,
    async untilEstablished(sessions, timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const protocols = await ask('show protocols');
        if (establishedOf(protocols) >= sessions) return;
        if (Date.now() > deadline)
          throw new Error(`${process.name}: not ${sessions} sessions within ${timeoutMs} ms\n${protocols}`);
        await delay(POLL_INTERVAL_MS);
      }
    },
  };
  const deadline = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      await ask('show status');
      return bird;
    } catch (error) {
      if (!process.running || Date.now() > deadline)
        throw new Error(`${process.name} does not answer\n${process.tail()}`, { cause: error });
      await delay(POLL_INTERVAL_MS);
    }
  }
}

/** BGP sessions that are up, in what `show protocols` prints. */
export function establishedOf(protocols: string): number {
  return protocols.split('\n').filter((line) => /\sBGP\s.*\sEstablished\s*$/.test(line)).length;
}
