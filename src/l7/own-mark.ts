/**
 * The mark by which this host asks to be drained (src/agent/draining-mark.ts), as far as it is this program's: one that an operator made
 * with `anyhop agent --drain` stays.
 */
import { mark, markAuthor, unmark } from '../agent/draining-mark.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { IpAddress } from '../packet/address.js';

const AUTHOR = 'anyhop l7';

export class OwnMark {
  readonly #log: Logger;
  /** What went wrong last, so that it is told once. */
  #told: string | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Makes the mark for these addresses, or removes it. Does nothing where that is done.
   * @param directory `agent.run_dir`
   */
  set(isWanted: boolean, directory: string, addresses: readonly IpAddress[]): void {
    try {
      for (const address of addresses) {
        if (isWanted) mark(directory, address, AUTHOR);
        else if (markAuthor(directory, address) === AUTHOR) unmark(directory, address);
      }
      this.#told = undefined;
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      const { message } = error;
      if (message === this.#told) return;
      this.#told = message;
      this.#log.error({ event: 'l7_drain', why: message }, `the forwarders cannot be told: ${message}`);
    }
  }
}
