/**
 * One node of several that asks the sources of backends: whoever gets the place in the store, for as long as its lease lives. Two may think
 * that they have it for a moment, which costs some questions; a revision is put in force by compare-and-swap (apply.ts), so only one of two
 * is taken.
 */
import type { Lease } from './lease.js';
import { DISCOVER, ELECTED, FOUND } from './places.js';
import type { Snapshot, Store } from './store.js';

const LEASE_SECONDS = 5;
/** How often it looks without being told. */
const READ_MS = 10_000;

export interface ElectionOptions {
  readonly store: Store;
  readonly node: string;
  /** Whether this node may stand, now. */
  readonly mayStand: () => boolean;
  /** It has won, or lost. */
  readonly changed: (isElected: boolean) => void;
}

export class Election {
  readonly #options: ElectionOptions;
  /** Tells this process from an earlier one of the node. */
  readonly #value: string;
  readonly #stop: () => void;
  #lease: Lease | undefined;
  #now: Snapshot | undefined;
  #vacantSince: Date | undefined;
  #isElected = false;
  #isStanding = false;
  #told = '';

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#value = JSON.stringify({ node: options.node, since: new Date().toISOString() });
    this.#stop = options.store.follow(DISCOVER, READ_MS, (now) => {
      this.#now = now;
      this.#vacantSince = now.entries.has(ELECTED) ? undefined : (this.#vacantSince ?? new Date());
      void this.look();
    });
  }

  /** Since when nobody has the place, as far as the store says; undefined while somebody has, or that is not known. */
  get vacantSince(): Date | undefined {
    return this.#options.store.fault === undefined ? this.#vacantSince : undefined;
  }

  /** Who may stand may have changed. */
  async look(): Promise<void> {
    const { store, mayStand } = this.#options;
    if (this.#now === undefined || this.#isStanding) return;
    if (!mayStand()) return this.#resign();
    const value = this.#now.entries.get(ELECTED)?.value;
    if (value !== undefined) return this.#set(value === this.#value);
    this.#isStanding = true;
    try {
      const lease = this.#leased();
      const isWritten = await store.write(
        [[ELECTED, undefined]],
        [{ place: ELECTED, value: this.#value, lease }],
      );
      if (isWritten) this.#set(true);
    } catch {
      // The store does not answer, or refuses this host, and says so by itself.
    } finally {
      this.#isStanding = false;
    }
  }

  /** What the sources say, for people; written when it changes. */
  async tell(text: string): Promise<void> {
    if (!this.#isElected || text === this.#told) return;
    try {
      await this.#options.store.write([], [{ place: FOUND, value: text, lease: this.#leased() }]);
      this.#told = text;
    } catch {
      // As above; the next one is written again.
    }
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#resign();
  }

  #leased(): Lease {
    if (this.#lease !== undefined) return this.#lease;
    const lease = this.#options.store.lease(LEASE_SECONDS);
    lease.lost = () => this.#set(false);
    this.#lease = lease;
    return lease;
  }

  async #resign(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    this.#set(false);
    await lease?.revoke();
  }

  #set(isElected: boolean): void {
    if (isElected === this.#isElected) return;
    this.#isElected = isElected;
    this.#told = '';
    this.#options.changed(isElected);
  }
}
