/**
 * Looks after the filter that keeps the host away from packets for VIPs. A firewall that is loaded again (`nft flush ruleset`) takes
 * it off along with its own rules, and the host's stack then answers beside the engine. The watch puts the filter back, and its
 * counters go on from where they were. Each look reads the counters too, so that a question for them starts no process.
 */
import type { Logger } from '../../core/log.js';
import { reasonOf } from '../../core/reason.js';
import { Rerun } from '../../core/rerun.js';
import type { DroppedPackets } from '../host-filter.js';
import { Presence } from '../presence.js';

/** How often: a look takes some 5 ms of a processor. */
const LOOK_MS = 700;

export interface FilterWatchOptions {
  readonly interface: string;
  readonly log: Logger;
  /** Called when `detached` has changed. */
  readonly changed?: (() => void) | undefined;
  /** Undefined when the filter is not there. */
  readonly read: () => Promise<DroppedPackets | undefined>;
  readonly putBack: () => Promise<void>;
}

export class FilterWatch {
  readonly #options: FilterWatchOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #presence: Presence;
  readonly #looks = new Rerun(() => this.#look());
  #complaint: string | undefined;
  /** Of filters before the present one. */
  #carried: DroppedPackets = { arrived: 0, elsewhere: 0 };
  #dropped: DroppedPackets | undefined;

  constructor(options: FilterWatchOptions) {
    this.#options = options;
    this.#presence = new Presence({ what: 'the host filter', ...options });
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** Why the host is not kept away, or has only just been again; undefined when all is well. */
  get detached(): string | undefined {
    return this.#presence.detached;
  }

  /** As of the last look, less than a second ago; undefined before the first. */
  get dropped(): DroppedPackets | undefined {
    return this.#dropped;
  }

  /** Never rejects. */
  look(): Promise<void> {
    return this.#looks.ask();
  }

  /** Resolves when no look is under way any more. */
  close(): Promise<void> {
    clearInterval(this.#timer);
    return this.#looks.idle();
  }

  async #look(): Promise<void> {
    const { interface: name, log, read, putBack } = this.#options;
    try {
      const now = await read();
      if (now !== undefined) {
        const { arrived, elsewhere } = this.#carried;
        this.#dropped = { arrived: arrived + now.arrived, elsewhere: elsewhere + now.elsewhere };
      } else {
        this.#carried = this.#dropped ?? this.#carried;
        this.#presence.isGone(
          `the filter that keeps the host away from packets for VIPs was taken off ${name}; it is put back`,
        );
        await putBack();
      }
      this.#presence.isThere();
      this.#complaint = undefined;
    } catch (error) {
      const why = reasonOf(error);
      if (why !== this.#complaint)
        log.warn(
          { event: 'filter_unknown', why },
          `the host filter on ${name} cannot be looked after: ${why}`,
        );
      this.#complaint = why;
    }
  }
}
