/** Keeps what a node knows of floods in NAME-defence.json of its state directory. A failure to write is told by state-store.ts and costs that alone. */
import { dirname, join } from 'node:path';
import { makeDirectory } from '../core/directory.js';
import type { Logger } from '../core/log.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { readOwnFile, replaceOwnFile } from '../core/own-file.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { type KeptDefence, NOTHING_KEPT, readKept, writeKept } from '../defend/kept.js';

const DIRECTORY_MODE = 0o700;

export class DefenceStore {
  readonly #file: string;
  readonly #log: Logger;
  readonly #writes = new Rerun(() => this.#write());
  #text = '';
  #written = '';

  constructor(directory: string, node: string, log: Logger) {
    this.#file = join(directory, `${node}-defence.json`);
    this.#log = log;
  }

  /** What a process before this one knew. */
  read(): KeptDefence {
    try {
      requireOwnDirectory(dirname(this.#file), 'ERR_STATE_FILE', 'node.state_dir');
      return readKept(readOwnFile(this.#file).text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NOTHING_KEPT;
      const why = reasonOf(error);
      this.#log.warn(
        { event: 'state_unusable', file: this.#file, why },
        `${this.#file}: ${why}; what is usual for its services is learnt anew`,
      );
      return NOTHING_KEPT;
    }
  }

  /** Resolves when this or something newer is kept, or when that has failed. */
  async write(kept: KeptDefence): Promise<void> {
    this.#text = writeKept(kept);
    await this.#writes.ask();
  }

  async #write(): Promise<void> {
    const text = this.#text;
    if (text === this.#written) return;
    try {
      requireOwnDirectory(dirname(this.#file), 'ERR_STATE_FILE', 'node.state_dir');
      makeDirectory(dirname(this.#file), DIRECTORY_MODE);
      await replaceOwnFile(this.#file, text);
      this.#written = text;
    } catch {
      // The same directory and the same reason as of what the node remembers of its pools, which is told.
    }
  }
}
