/**
 * What a member hears of its fleet: what is in force there and what is about to be, by the store; and what other forwarders have in force that
 * the store has forgotten. What is later than its own goes to the head (head.ts).
 */
import { type Head, knownStanding, type Standing, standingOf } from './head.js';
import type { Own } from './own.js';
import { ACTIVE, INTENT, NODES, revisionPlace } from './places.js';
import { BadRecord, signerOf } from './record.js';
import type { Records } from './records.js';
import type { Known } from './revisions.js';
import { type Active, type Intent, readActive, readIntent, readMember } from './said.js';
import type { Snapshot, Store } from './store.js';

export const FORWARDERS = `${NODES}forwarder/`;

export interface HearingOptions {
  readonly fleet: string;
  readonly store: Store;
  readonly own: Own;
  readonly head: Head;
  readonly records: Records;
  /** What the member has ready to switch to. */
  readonly prepared: () => Known | undefined;
}

export class Hearing {
  readonly #options: HearingOptions;
  #now: Snapshot | undefined;
  #isForgotten = false;

  constructor(options: HearingOptions) {
    this.#options = options;
  }

  /** Before that nothing is known of the fleet. */
  get hasHeard(): boolean {
    return this.#now !== undefined;
  }

  /** In force in the fleet; undefined for nothing. */
  get active(): Active | undefined {
    return readActive(this.#now?.entries.get(ACTIVE)?.value);
  }

  get intent(): Intent | undefined {
    return readIntent(this.#now?.entries.get(INTENT)?.value);
  }

  /** The store has an earlier revision: others learn of this one from this member. */
  get isForgotten(): boolean {
    return this.#isForgotten;
  }

  saw(snapshot: Snapshot): void {
    this.#now = snapshot;
  }

  /** What others have in force, and the store has forgotten. */
  hearOthers({ entries }: Snapshot): void {
    for (const [place, { value }] of entries) {
      if (!place.startsWith(FORWARDERS)) continue;
      const { record } = readMember(value) ?? {};
      if (record !== undefined) this.#options.head.hear(record, `on ${place.slice(NODES.length)}`);
    }
  }

  /** What the fleet has in force, by the store. @throws AnyhopError ERR_STORE */
  async hear(): Promise<void> {
    const { store, fleet, own, head, prepared } = this.#options;
    const { number, record: digest } = this.active ?? { number: 0, record: '' };
    const ready = prepared();
    let inStore: Standing | undefined;
    if (digest === own.standing.digest) {
      inStore = own.standing;
      own.isAtHead();
    } else if (digest === ready?.digest) {
      inStore = standingOf(ready.revision, digest);
      head.hearPrepared(inStore);
    } else if (number > 0) {
      const record = (await store.get(revisionPlace(number)))?.value;
      if (record !== undefined) inStore = await this.#heard(record);
    }
    this.#isForgotten = (inStore?.atMs ?? 0) < own.standing.atMs;
    if (this.#isForgotten)
      store.forgot(`its revision is ${number}, and ${own.standing.number} of ${fleet} is in force here`);
  }

  /** What is in force in the fleet; of a node, only what this member would take makes it wait for that. */
  async #heard(record: string): Promise<Standing | undefined> {
    const { head, records, own } = this.#options;
    const where = 'in the fleet';
    if (signerOf(record) === undefined) return head.hear(record, where);
    try {
      const standing = knownStanding(record);
      await records.open(record);
      head.hearFound(standing, where);
      return standing;
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      return own.standing;
    }
  }
}
