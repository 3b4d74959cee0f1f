/**
 * How a member begins: with what is in force in the fleet, or, when the store does not answer in time, with what was last in force on this
 * host. Without either it waits.
 */
import type { RevisionText } from '../config/load.js';
import { deferred } from '../core/deferred.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { Follower } from './follower.js';

export interface StartOptions {
  readonly fleet: string;
  readonly prepare: Follower['prepare'];
  /** Whether a revision has anything for this host; a process without anything to do waits for one that has. */
  readonly concerns: (text: RevisionText) => boolean;
  readonly log: Logger;
}

export class Start {
  readonly #options: StartOptions;
  readonly #first = deferred<RevisionText>();
  readonly #serves = deferred<void>();
  #isBegun = false;
  /** Of a process that has no config yet: what is activated is what it begins with. */
  readonly follower: Follower;

  constructor(options: StartOptions) {
    this.#options = options;
    this.follower = {
      prepare: options.prepare,
      release: () => undefined,
      activate: async (_, text) => {
        if (this.#isBegun) throw new AnyhopError('ERR_FLEET', 'the process is starting');
        if (!this.#concerns(text)) return;
        this.#first.resolve(text);
        await this.#serves.promise; // until then it is not in force
      },
      standing: () => ({ ready: false, reason: 'it starts' }),
    };
  }

  /**
   * @param kept last in force on this host
   * @param isBehind whether something later is in force in the fleet; resolves in some time
   * @param waitMs for what is later
   */
  async first(
    kept: RevisionText | undefined,
    isBehind: () => Promise<boolean>,
    waitMs: number,
  ): Promise<RevisionText> {
    const first = await this.#chosen(kept, isBehind, waitMs);
    this.#isBegun = true;
    return first;
  }

  async #chosen(
    kept: RevisionText | undefined,
    isBehind: () => Promise<boolean>,
    waitMs: number,
  ): Promise<RevisionText> {
    const { fleet, log } = this.#options;
    if (kept === undefined || !this.#concerns(kept)) {
      log.warn(
        { event: 'fleet_waits', fleet },
        `nothing to do yet: waiting for a revision of the fleet ${fleet} that has something for this host ("anyhop fleet apply")`,
      );
      return await this.#first.promise;
    }
    if (!(await isBehind())) return kept;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<RevisionText>((resolve) => {
      timer = setTimeout(() => resolve(kept), waitMs);
    });
    const first = await Promise.race([this.#first.promise, late]);
    clearTimeout(timer);
    return first;
  }

  /** The process runs. */
  serves(): void {
    this.#serves.resolve();
  }

  #concerns(text: RevisionText): boolean {
    const concerns = this.#options.concerns(text);
    if (!concerns)
      this.#options.log.info(
        { event: 'fleet_idle', revision: text.number },
        `revision ${text.number} has nothing for this host: waiting for one that has`,
      );
    return concerns;
  }
}
