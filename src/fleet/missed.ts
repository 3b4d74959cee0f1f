/**
 * The revisions that went by while a member had another one, or none: between what it had and what it takes now. Connections may be from them,
 * so a forwarder remembers those that were in force within the settle time, as the others do.
 *
 *   head --parent--> N-1 --parent--> N-2 ... --parent--> what is in force here
 *
 * Each record names the one before it by its digest and says when that came into force; `now/active` says it of the head. The times are of
 * the clocks of those who put them in force. Each is judged as any revision; one that is not taken is passed over.
 */
import type { RevisionText } from '../config/load.js';
import { STATES_REMEMBERED_MAX } from '../core/limits.js';
import type { Standing } from './head.js';
import { REVISIONS } from './places.js';
import { BadRecord, digestOfText, peeked, type Revision } from './record.js';
import { withText } from './revisions.js';
import type { Store } from './store.js';

/** A pool remembers no more. */
export const MISSED_MAX = STATES_REMEMBERED_MAX;
/** Numbers are given in order; a few records of no revision do not hide one. */
const READ_MAX = 2 * MISSED_MAX;

export interface Missed extends RevisionText {
  /** When another one came into force, by the wall clock; in milliseconds. */
  readonly untilMs: number;
}

export interface MissedOptions {
  readonly store: Store;
  /** What the member takes. */
  readonly head: Revision;
  /** Since when it is in force. */
  readonly headAt: string;
  /** In force at the member. */
  readonly own: Standing;
  /** @throws BadRecord */
  readonly open: (record: string) => Promise<Revision>;
  /** One is passed over. */
  readonly passedOver: (number: number, why: string) => void;
}

/** The newest first. @throws AnyhopError ERR_STORE */
export async function missedBy({
  store,
  head,
  headAt,
  own,
  open,
  passedOver,
}: MissedOptions): Promise<Missed[]> {
  if (head.parent === undefined || head.parent === own.digest) return [];
  const { entries } = await store.newest(REVISIONS, READ_MAX);
  const records = new Map([...entries.values()].map(({ value }) => [digestOfText(value), value]));
  const missed: Missed[] = [];
  let child = head;
  let untilMs = Date.parse(headAt);
  for (let i = 0; i < MISSED_MAX && child.parent !== own.digest; i++) {
    const record = records.get(child.parent ?? '');
    if (record === undefined) break;
    let revision: Revision | undefined;
    try {
      revision = peeked(record); // its child says that it is one, whether or not it is taken
      const { number, text } = await withText(store, record, await open(record));
      missed.push({ number, text, untilMs });
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      passedOver(revision?.number ?? child.number - 1, error.message);
    }
    if (revision === undefined) break;
    untilMs = Date.parse(child.parentAt ?? child.at);
    child = revision;
  }
  return missed;
}
