/**
 * What a member has in force itself: kept on its disk, so that it goes on without the store; compared with the head of the fleet; and by what a
 * record of a node is judged here.
 */
import { mentionsDiscovery } from '../config/edit/found.js';
import type { KeptRevision } from '../config/fleet/kept.js';
import type { RevisionText } from '../config/load.js';
import { RecentStates } from '../discover/recent.js';
import { knownStanding, NOTHING_IN_FORCE, type Standing, signedStanding, standingOf } from './head.js';
import { BadRecord, peeked, signerOf } from './record.js';
import { groupsIn, type InForce } from './records.js';
import type { Known, Signer } from './revisions.js';

export class Own {
  #standing: Standing;
  #inForce: KeptRevision | undefined;
  /** When it was last at the head, as far as the store said. */
  #atHeadMs = Number.NEGATIVE_INFINITY;
  /** The backends that pools with a source had within the settle time. */
  readonly recent = new RecentStates();

  constructor(kept: KeptRevision | undefined, signer: Signer) {
    this.#inForce = kept;
    this.#standing = kept === undefined ? NOTHING_IN_FORCE : ownOf(kept, signer);
    if (kept !== undefined) this.#saw(kept);
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** Undefined for nothing. */
  get inForce(): KeptRevision | undefined {
    return this.#inForce;
  }

  takes({ number, digest, record, text, revision }: Known): void {
    this.#standing = standingOf(revision, digest);
    this.#inForce = { number, text, record };
    this.#saw({ number, text });
  }

  isAtHead(): void {
    this.#atHeadMs = performance.now();
  }

  /** By what a record of a node is judged. */
  get judges(): InForce | undefined {
    if (this.#inForce === undefined) return undefined;
    const { text, record } = this.#inForce;
    const { number, base } = peeked(record);
    const awayMs = performance.now() - this.#atHeadMs;
    return { text, base: base?.number ?? number, recent: this.recent, awayMs };
  }

  #saw({ text }: RevisionText): void {
    if (mentionsDiscovery(text)) this.recent.saw(groupsIn(text));
  }
}

/** Of what is kept on this host. */
function ownOf({ number, record }: KeptRevision, signer: Signer): Standing {
  const none = { ...NOTHING_IN_FORCE, number };
  try {
    if (signerOf(record) !== undefined) return knownStanding(record); // it was judged when it came
  } catch (error) {
    if (error instanceof BadRecord) return none;
    throw error;
  }
  // What another key has signed is earlier than whatever this one has.
  return signedStanding(record, signer) ?? none;
}
