/** A revision with all that belongs to it, as it is found in the store. */
import type { RevisionText } from '../config/load.js';
import { textOf } from './blob.js';
import { revisionPlace } from './places.js';
import { BadRecord, digestOfText, type Revision } from './record.js';
import type { Store } from './store.js';

/** With what a record is read. */
export interface Signer {
  readonly name: string;
  readonly operatorKey: Uint8Array;
}

export interface Known extends RevisionText {
  readonly revision: Revision;
  readonly record: string;
  /** Of the record. */
  readonly digest: string;
}

/** One that was in force. @param open says whether its record is taken @throws BadRecord; AnyhopError ERR_STORE */
export async function findRevision(
  store: Store,
  number: number,
  open: (record: string) => Promise<Revision>,
): Promise<Known> {
  const record = (await store.get(revisionPlace(number)))?.value;
  if (record === undefined) throw new BadRecord('its record is not in the store');
  const revision = await open(record);
  if (revision.number !== number)
    throw new BadRecord(`the record in its place is of revision ${revision.number}`);
  return await withText(store, record, revision);
}

/** @throws BadRecord; AnyhopError ERR_STORE */
export async function withText(store: Store, record: string, revision: Revision): Promise<Known> {
  const text = await textOf(store, revision);
  return { number: revision.number, text, revision, record, digest: digestOfText(record) };
}
