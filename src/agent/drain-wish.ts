/**
 * Whether this host asks to be drained, and which forwarders have followed: the part of the agent's report that is about drains. The mark
 * (draining-mark.ts) is looked at when somebody asks for a report.
 */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import type { IpAddress } from '../packet/address.js';
import { isMarked, markPath } from './draining-mark.js';
import { ForwardersHeard } from './forwarders-heard.js';
import type { Question } from './question.js';
import type { AgentReport } from './report.js';

/** Who asks for a report, and which of this host's addresses was asked. */
export interface Asked {
  readonly address: IpAddress;
  /** Undefined when the one who asks is no forwarder. */
  readonly forwarder?: Question & { readonly address: string };
}

interface Wish {
  isMarked: boolean;
  readonly forwarders: ForwardersHeard;
}

export class DrainWishes {
  readonly #log: Logger;
  readonly #now: () => number;
  /** By this host's address: as many as it has backends. */
  readonly #wishes = new Map<string, Wish>();
  #complaint: string | undefined;

  /** @param now milliseconds of a clock that only rises */
  constructor(log: Logger, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** @param directory `agent.run_dir` */
  report(directory: string, { address, forwarder }: Asked): Pick<AgentReport, 'draining' | 'forwarders'> {
    const nowMs = this.#now();
    const wish = this.#wishes.get(address.text) ?? { isMarked: false, forwarders: new ForwardersHeard() };
    this.#wishes.set(address.text, wish);
    const draining = this.#look(directory, address);
    if (draining !== wish.isMarked) {
      wish.isMarked = draining;
      if (draining) wish.forwarders.restart(nowMs);
      this.#tell(directory, address, draining);
    }
    if (forwarder !== undefined) wish.forwarders.hear(forwarder.address, forwarder, nowMs);
    return { draining, forwarders: wish.forwarders.list(nowMs) };
  }

  /** Forwarders that have asked lately. */
  heard(address: string): number {
    return this.#wishes.get(address)?.forwarders.list(this.#now()).length ?? 0;
  }

  /** A mark that cannot be judged drains nothing. */
  #look(directory: string, address: IpAddress): boolean {
    try {
      const draining = isMarked(directory, address);
      this.#complaint = undefined;
      return draining;
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      const { message: why, hint } = error;
      if (why !== this.#complaint)
        this.#log.warn(
          { event: 'draining_mark_unusable', why, ...(hint !== undefined && { hint }) },
          `it is not known whether this host asks to be drained, so it does not: ${why}`,
        );
      this.#complaint = why;
      return false;
    }
  }

  #tell(directory: string, address: IpAddress, draining: boolean): void {
    const fields = { address: address.text } as const;
    if (draining)
      this.#log.info(
        { event: 'drain_asked', ...fields },
        `this host asks the forwarders to drain ${address.text}: ${markPath(directory, address)} is there`,
      );
    else
      this.#log.info(
        { event: 'drain_no_longer_asked', ...fields },
        `this host no longer asks the forwarders to drain ${address.text}`,
      );
  }
}
