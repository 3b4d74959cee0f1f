/** Measurements of one file that need a process each: the compiler optimizes for what it has seen, and one would spoil the next. */
import { spawnSync } from 'node:child_process';

const FLAG = '--only=';

/** Calls `measure` for each name, each in a process of its own: this file again, with the same arguments. */
export function alone<Name extends string>(names: readonly Name[], measure: (name: Name) => void): void {
  const only = process.argv.find((argument) => argument.startsWith(FLAG))?.slice(FLAG.length);
  if (only !== undefined) {
    measure(only as Name);
    return;
  }
  for (const name of names) {
    const args = [...process.execArgv, ...process.argv.slice(1), `${FLAG}${name}`];
    const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) process.exit(1);
  }
}
