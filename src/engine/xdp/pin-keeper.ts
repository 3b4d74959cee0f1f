/**
 * Somebody removes pins of a node that runs (`rm -r`, another tool): forwarding goes on as long as the process has the link, and would
 * end with it. They are pinned again.
 */
import { AnyhopError, isSystemError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { reasonOf } from '../../core/reason.js';
import { type Attachment, linkPath } from '../../pins/attachment.js';
import { entries, isBpffs, makePinDirectory } from '../../pins/directory.js';
import type { PinnedSet } from './pinned-set.js';

export interface Pinned {
  readonly directory: string;
  readonly attachment: Attachment;
  readonly set: PinnedSet;
}

export class PinKeeper {
  readonly #bpffs: string;
  readonly #log: Logger;
  #problem: string | undefined;

  constructor(bpffs: string, log: Logger) {
    this.#bpffs = bpffs;
    this.#log = log;
  }

  /** @returns whether the next process finds all of it */
  keep({ directory, attachment, set }: Pinned): boolean {
    try {
      const hasLink = entries(directory).includes('link');
      if (hasLink && set.isPinned) return true;
      if (!isBpffs(this.#bpffs))
        throw new AnyhopError('ERR_BPF', `no BPF file system is mounted at ${this.#bpffs}`);
      makePinDirectory(directory, this.#bpffs);
      if (!set.isPinned) set.pinAgain();
      if (!hasLink) attachment.link.descriptor.pin(linkPath(directory));
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

  /** Once for each reason. */
  #complain(directory: string, why: string): void {
    if (why === this.#problem) return;
    this.#problem = why;
    this.#log.error(
      { event: 'pins_lost', directory, why },
      `the pins in ${directory} are gone, and forwarding will end with this process: ${why}`,
    );
  }
}
