/** Protects the memory of this process (native/lib/process.c). */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { anyhopLibrary } from './library.js';

/**
 * Keeps the memory, which holds the fleet's key, out of core dumps and from other processes of the same user. Call it before the key is
 * read. Without the native library, which the engine portable does not need, only LimitCORE=0 of the unit helps.
 */
export function forbidDumps(log: Logger): void {
  try {
    anyhopLibrary.call('ERR_NATIVE', 'anyhop_forbid_dumps');
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    log.warn(
      { event: 'dumps_allowed', why: error.message },
      `a core dump of this process would hold the key: ${error.message}; set LimitCORE=0, or ulimit -c 0`,
    );
  }
}
