/**
 * HAProxy that an anyhop left behind which was killed. It keeps serving, which is good until the next one does: it is recognized by
 * the master CLI's path in its arguments, which nobody else has.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { reasonOf } from '../../core/reason.js';
import { masterOption } from './launch.js';

export interface Leftovers {
  /** Masters and workers. */
  readonly pids: readonly number[];
  /** Those that are no children of others among them: a signal to one reaches its workers. */
  readonly heads: readonly number[];
}

/** @param master path of the master CLI */
export function findLeftovers(master: string): Leftovers {
  const option = masterOption(master);
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^[1-9]\d*$/.test(name) || Number(name) === process.pid) continue;
    const args = read(`/proc/${name}/cmdline`).split('\0');
    // Not what comes before it by setpriv, or an editor in which somebody looks at it.
    if (!args[0]?.endsWith('haproxy') || args[args.indexOf(option) - 1] !== '-S') continue;
    parents.set(Number(name), Number(/^PPid:\s*(\d+)/m.exec(read(`/proc/${name}/status`))?.[1] ?? 0));
  }
  const pids = [...parents.keys()];
  return { pids, heads: pids.filter((pid) => !parents.has(parents.get(pid)!)) };
}

/** @returns why some could not be signalled; those that are gone do not count */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): string | undefined {
  let why: string | undefined;
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') why = reasonOf(error);
    }
  }
  return why;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has ended
  }
}
