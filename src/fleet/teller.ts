/**
 * What a member says of itself in the store, kept true: written when it changes, and again when the store says otherwise, as after a restore
 * from a snapshot or the end of a lease.
 */
import { FLEET_MESSAGE_CHARS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { Rerun } from '../core/rerun.js';
import type { Lease } from './lease.js';
import { MEMBERS, NODES } from './places.js';
import { readMember, type SaidByMember } from './said.js';
import type { Snapshot, Store } from './store.js';

/** How often it looks for changes. */
const LOOK_MS = 500;
/** After a failure, by chance up to twice as long: thousands do not come at once. */
const RETRY_MS = 2_000;
const WAITS_SHOWN_MAX = 20;

export interface TellerOptions {
  readonly store: Store;
  /** `forwarder/edge-1` */
  readonly place: string;
  /** How long its word outlives it. */
  readonly leaseSeconds: number;
  readonly say: () => SaidByMember;
  readonly log: Logger;
}

export class Teller {
  readonly #options: TellerOptions;
  readonly #lease: Lease;
  readonly #timer: NodeJS.Timeout;
  readonly #writes = new Rerun(() => this.#write());
  /** What the store has of it, as far as is known. */
  #told = '';
  #nextMs = 0;
  #isTwiceSaid = false;
  #isClosed = false;

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#lease = options.store.lease(options.leaseSeconds);
    this.#lease.lost = () => {
      this.#told = '';
      void this.tell();
    };
    this.#timer = setInterval(() => void this.tell(), LOOK_MS).unref();
  }

  /** What the store has of this member, to be read with other things from time to time. */
  get places(): string[] {
    const { place } = this.#options;
    return [MEMBERS + place, NODES + place];
  }

  /** Resolves when the store has been told what has changed, or does not answer. */
  async tell(): Promise<void> {
    if (!this.#isClosed) await this.#writes.ask();
  }

  /** Compares what the store has. */
  seen({ entries }: Snapshot): void {
    const { place, log } = this.#options;
    const value = entries.get(NODES + place)?.value;
    if (this.#told === '' || (value === this.#told && entries.has(MEMBERS + place))) return;
    const other = readMember(value);
    if (other !== undefined && !this.#isTwiceSaid && other.since > this.#said().since) {
      this.#isTwiceSaid = true;
      log.error(
        { event: 'fleet_name_twice', member: place, since: other.since },
        `another process, since ${other.since}, says that it is ${place}: give one of the two another node.name`,
      );
    }
    this.#told = '';
    void this.tell();
  }

  /** Its word goes away at once; it stays listed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#writes.idle();
    await this.#lease.revoke();
  }

  #said(): SaidByMember {
    const said = this.#options.say();
    if (said.prepared === undefined) return said;
    const waits = said.prepared.waits.slice(0, WAITS_SHOWN_MAX);
    return {
      ...said,
      prepared: {
        ...said.prepared,
        waits: waits.map((each) => each.slice(0, FLEET_MESSAGE_CHARS_MAX)),
      },
    };
  }

  async #write(): Promise<void> {
    const { store, place } = this.#options;
    const text = JSON.stringify(this.#said());
    if (text === this.#told || performance.now() < this.#nextMs) return;
    try {
      await store.write(
        [],
        [
          ...(this.#told === '' ? [{ place: MEMBERS + place, value: '{}' }] : []),
          { place: NODES + place, value: text, lease: this.#lease },
        ],
      );
      this.#told = text;
    } catch {
      this.#nextMs = performance.now() + RETRY_MS * (1 + Math.random());
    }
  }
}
