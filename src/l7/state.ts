/** What outlives `anyhop l7 run`: what was said of servers at runtime, in a file of the run directory. It is gone after a boot. */
import { isSystemError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { readOwnFile, replaceOwnFile } from '../core/own-file.js';
import { reasonOf } from '../core/reason.js';
import { stateFile } from './place.js';
import { readOverrides, type ServerOverrides } from './servers.js';

/** Without a file that can be read, nothing was said. */
export function readState(runDirectory: string, log: Logger): ServerOverrides {
  const path = stateFile(runDirectory);
  try {
    const overrides = readOverrides((JSON.parse(readOwnFile(path).text) as { servers?: unknown }).servers);
    if (overrides !== undefined) return overrides;
    log.warn({ event: 'l7_state_unused', path }, `${path} is not understood: servers are as in the config`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    const why = reasonOf(error);
    log.warn(
      { event: 'l7_state_unused', path, why },
      `${path} cannot be read, so servers are as in the config: ${why}`,
    );
  }
  return new Map();
}

export async function writeState(
  runDirectory: string,
  overrides: ServerOverrides,
  log: Logger,
): Promise<void> {
  const path = stateFile(runDirectory);
  try {
    await replaceOwnFile(path, `${JSON.stringify({ servers: Object.fromEntries(overrides) })}\n`);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const why = reasonOf(error);
    log.error(
      { event: 'l7_state_not_kept', path, why },
      `what was said of servers will not survive a restart: ${why}`,
    );
  }
}
