/**
 * Removes revisions that nodes have signed beyond the newest few, with the texts that no other revision has: each change that a source makes
 * is a revision, and a store must not grow with them for ever. What the operator signed stays, since rollbacks and the revisions of nodes
 * stand upon it; so does what is in force. The newest few are more than a member that was away remembers (missed.ts).
 */
import { FLEET_FOUND_REVISIONS_MAX } from '../core/limits.js';
import { ACTIVE, blobPlace, INTENT, REVISIONS, revisionPlace } from './places.js';
import { BadRecord, peeked, signerOf } from './record.js';
import { readActive } from './said.js';
import type { Condition, Snapshot, Store } from './store.js';

/** At a time: a transaction of etcd has 128 comparisons at most, and each entry takes two. */
const PART = 50;

/**
 * Does nothing while a change is being prepared, which may need a text that would go.
 * @param kept so many of those that nodes have signed
 * @returns how many revisions are gone
 * @throws AnyhopError ERR_STORE
 */
export async function prune(store: Store, kept = FLEET_FOUND_REVISIONS_MAX): Promise<number> {
  const now = await store.read(ACTIVE, INTENT, REVISIONS);
  const goes = dispensable(now, kept);
  if (now.entries.has(INTENT) || goes.length === 0) return 0;
  const needed = new Set(
    [...now.entries].flatMap(([place, { value }]) => (goes.includes(place) ? [] : configOf(place, value))),
  );
  let gone = 0;
  for (let at = 0; at < goes.length; at += PART) {
    const part = goes.slice(at, at + PART);
    const texts = new Set(part.flatMap((place) => configOf(place, now.entries.get(place)!.value)));
    const places = [
      ...part,
      ...[...texts].flatMap((sha256) => (needed.has(sha256) ? [] : [blobPlace(sha256)])),
    ];
    const conditions: Condition[] = [
      [INTENT, undefined],
      ...[ACTIVE, ...part].map((place): Condition => [place, now.entries.get(place)]),
    ];
    const isDone = await store.write(
      conditions,
      places.map((place) => ({ place, value: undefined })),
    );
    if (!isDone) break;
    gone += part.length;
  }
  return gone;
}

/** Places of revisions that may go, the oldest first. */
function dispensable({ entries }: Snapshot, kept: number): string[] {
  const active = readActive(entries.get(ACTIVE)?.value)?.number;
  if (active === undefined) return [];
  const found = [...entries]
    .filter(([place, { value }]) => place.startsWith(REVISIONS) && signerOf(value) !== undefined)
    .map(([place]) => place)
    .sort();
  return found.slice(0, Math.max(0, found.length - kept)).filter((place) => place < revisionPlace(active));
}

/** SHA-256 of the text of a revision. */
function configOf(place: string, value: string): string[] {
  if (!place.startsWith(REVISIONS)) return [];
  try {
    return [peeked(value).config];
  } catch (error) {
    if (error instanceof BadRecord) return [];
    throw error;
  }
}
