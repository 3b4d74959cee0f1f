/**
 * Looks after the filter that keeps the host away from packets for VIPs: a firewall that is loaded again (`nft flush ruleset`) takes it
 * along with its own rules, and the host's stack then answers beside the engine. It is put back, and its counters go on from
 * where they were. The look reads the counters too, so that a question for them starts no process.
 */
import type { Logger } from '../../core/log.js';
import type { DroppedPackets } from '../host-filter.js';

/** How often: a look takes some 5 ms of a processor. */
const LOOK_MS = 700;
/** A filter that was put back counts as there again after this time. */
const STAYS_MS = 1_000;

export interface FilterWatchOptions {
  readonly interface: string;
  readonly log: Logger;
  /** Undefined when the filter is not there. */
  readonly read: () => Promise<DroppedPackets | undefined>;
  readonly putBack: () => Promise<void>;
}

export class FilterWatch {
  readonly #options: FilterWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;
  #detached: string | undefined;
  #backSinceMs: number | undefined;
  #complaint: string | undefined;
  /** Of filters before the present one. */
  #carried: DroppedPackets = { arrived: 0, elsewhere: 0 };
  #dropped: DroppedPackets | undefined;

  constructor(options: FilterWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  /** Why the host is not kept away, or has only just been again; undefined when all is well. */
  get detached(): string | undefined {
    return this.#detached;
  }

  /** As of the last look, less than a second ago; undefined before the first. */
  get dropped(): DroppedPackets | undefined {
    return this.#dropped;
  }

  /** Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Resolves when no look is under way any more. */
  close(): Promise<void> {
    clearInterval(this.#timer);
    return this.#looking ?? Promise.resolve();
  }

  async #look(): Promise<void> {
    const { interface: name, log, read, putBack } = this.#options;
    try {
      const now = await read();
      if (now !== undefined) {
        const { arrived, elsewhere } = this.#carried;
        this.#dropped = { arrived: arrived + now.arrived, elsewhere: elsewhere + now.elsewhere };
        this.#stays(performance.now());
        return;
      }
      this.#carried = this.#dropped ?? this.#carried;
      this.#detached = `the filter that keeps the host away from packets for VIPs was taken off ${name}`;
      log.error(
        { event: 'detached', interface: name, why: this.#detached },
        `${this.#detached}; it is put back`,
      );
      await putBack();
      this.#backSinceMs = performance.now();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (why !== this.#complaint)
        log.warn(
          { event: 'filter_unknown', why },
          `the host filter on ${name} cannot be looked after: ${why}`,
        );
      this.#complaint = why;
    }
  }

  #stays(nowMs: number): void {
    this.#complaint = undefined;
    if (this.#detached === undefined) return;
    this.#backSinceMs ??= nowMs;
    if (nowMs - this.#backSinceMs < STAYS_MS) return;
    this.#backSinceMs = this.#detached = undefined;
    const { interface: name, log } = this.#options;
    log.info({ event: 'attached_again', interface: name }, `the host filter is on ${name} again`);
  }
}
