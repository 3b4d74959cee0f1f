/**
 * Pins again what somebody has removed while the process runs (`rm -r`, another tool): the program goes on as long as the process
 * has its link, and would end with it.
 */
import { AnyhopError, isSystemError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { isBpffs, makePinDirectory, type PinOwner } from './directory.js';

export class PinKeeper {
  readonly #owner: PinOwner;
  readonly #bpffs: string;
  readonly #log: Logger;
  #problem: string | undefined;

  constructor(owner: PinOwner, bpffs: string, log: Logger) {
    this.#owner = owner;
    this.#bpffs = bpffs;
    this.#log = log;
  }

  /**
   * @param directory of the pins
   * @param pin pins what is missing, and returns whether something was
   * @returns whether the next process finds all of it; each new reason against it is logged
   */
  keep(directory: string, pin: () => boolean): boolean {
    try {
      if (!isBpffs(this.#bpffs, this.#owner))
        throw new AnyhopError('ERR_BPF', `no BPF file system is mounted at ${this.#bpffs}`);
      makePinDirectory(directory, this.#bpffs, this.#owner);
      if (!pin()) return true;
    } catch (error) {
      if (!(error instanceof AnyhopError) && !isSystemError(error)) throw error;
      this.#complain(directory, reasonOf(error));
      return false;
    }
    this.#problem = undefined;
    this.#log.warn(
      { event: 'pinned_again', directory },
      `pins were removed from ${directory}; they are there again`,
    );
    return true;
  }

  #complain(directory: string, why: string): void {
    if (why === this.#problem) return;
    this.#problem = why;
    const what = this.#owner === 'anyhop' ? 'forwarding' : 'delivering';
    this.#log.error(
      { event: 'pins_lost', directory, why },
      `the pins in ${directory} are gone, and ${what} will end with this process: ${why}`,
    );
  }
}
