/** Where the agent's pins go, if anywhere: the agent prefers to have a BPF file system, and works without one. */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { endsWithProcess, makePinDirectory, requireBpffs } from '../pins/directory.js';
import { directoryOf } from '../pins/find.js';
import { AGENT_PINS } from './pins.js';

/**
 * The interface's directory of pins, made when it is not there; mounts a BPF file system if need be.
 * @returns undefined, after a warning, when none can be had, or what is pinned would go when this process does
 */
export async function findPinDirectory(
  bpffs: string,
  networkInterface: { readonly name: string; readonly index: number },
  log: Logger,
): Promise<string | undefined> {
  const consequence =
    'the program stays on the interface when the agent ends, but the next one needs CAP_SYS_ADMIN to take its place, and counts from zero';
  try {
    await requireBpffs(bpffs, AGENT_PINS);
    if (endsWithProcess(bpffs)) {
      const hint = `Mount one outside before the start: mount -t bpf bpf ${bpffs}`;
      log.warn(
        { event: 'not_pinned', bpffs, hint },
        `the BPF file system at ${bpffs} belongs to this process's own mount namespace: ${consequence}`,
      );
      return undefined;
    }
    const directory = directoryOf(bpffs, networkInterface, AGENT_PINS);
    makePinDirectory(directory, bpffs, AGENT_PINS);
    return directory;
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    log.warn({ event: 'not_pinned', bpffs, hint: error.hint }, `${error.message}; ${consequence}`);
    return undefined;
  }
}
