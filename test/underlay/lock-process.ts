/** Locks an interface and keeps it until its standard input ends: `lock-process.js lockInterface run eth0`. Says `locked`, or why not. */
import { once } from 'node:events';
import type { AnyhopError } from '#anyhop/core/errors.js';
import { type LockHolder, lockInterface, lockLeftovers } from '#anyhop/underlay/lock.js';

const [how, holder, link] = process.argv.slice(2) as [string, LockHolder, string];
try {
  const lock = await (how === 'lockLeftovers' ? lockLeftovers : lockInterface)(holder, link);
  process.stdout.write('locked\n');
  await once(process.stdin.resume(), 'end');
  await lock.release();
} catch (error) {
  const { message, hint } = error as AnyhopError;
  process.stdout.write(`${message} | ${hint}\n`);
  process.exitCode = 1;
}
