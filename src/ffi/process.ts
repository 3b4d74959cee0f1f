/** What a process shows of itself (native/lib/process.c). */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { anyhopLibrary } from './library.js';

/**
 * The memory of this process, which holds the fleet's key, ends in no core dump, and no other process of its user reads it. To be called
 * before the key is read. Where the native library is not there, which the engine portable does without, LimitCORE=0 of the unit is left.
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
