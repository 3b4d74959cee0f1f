/** Gives back memory that a process needed only while it started (native/lib/resident.c). */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { anyhopLibrary } from './library.js';

/**
 * Collects all garbage, and takes pages out of this process's memory that it may not need again: of Node's program, most served only its
 * start. For a process that is idle from now on; takes some 50 ms. @throws AnyhopError ERR_NATIVE without the native library
 */
export function releaseMemory(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  anyhopLibrary.call('ERR_NATIVE', 'anyhop_release_pages');
}
