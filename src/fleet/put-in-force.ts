/**
 * What two operators at once must not undo: a change comes into force upon what was in force when it was made, while it is the one that is being
 * prepared, or not at all. Whoever loses is told to whom. What may have been written by a server that failed is found out, or taken back.
 */
import type { FleetConfig } from '../config/fleet/types.js';
import type { AnyhopError } from '../core/errors.js';
import { ACTIVE, INTENT, revisionPlace } from './places.js';
import { digestOfText, type Revision } from './record.js';
import { describe, refused } from './refused.js';
import type { Active } from './said.js';
import { type Condition, type Entry, isStoreFault, type Store } from './store.js';
import { type FleetView, readFleetView } from './view.js';

/** What no entry is. */
const NONE: Entry = { value: '', version: '-1' };

/** @throws AnyhopError ERR_FLEET when nobody knows yet; ERR_STORE @returns false when something else came in between */
export async function putInForce(
  store: Store,
  before: FleetView,
  number: number,
  record: string,
): Promise<boolean> {
  const place = revisionPlace(number);
  const [unchanged] = before.unchanged;
  const intent: Condition = [INTENT, (await intentOf(store, record)) ?? NONE];
  const active: Active = { number, record: digestOfText(record), at: new Date().toISOString() };
  let fault: unknown;
  try {
    const isWritten = await store.write(
      [[place, undefined], unchanged!, intent],
      [
        { place, value: record },
        { place: ACTIVE, value: JSON.stringify(active) },
        { place: INTENT, value: undefined },
      ],
    );
    if (isWritten) return true;
  } catch (error) {
    if (!isStoreFault(error)) throw error;
    fault = error;
  }
  // A server that failed may have written it before, and may still do so until what it is to have prepared is gone.
  const asked = async (): Promise<Entry | undefined> => {
    await store.write([intent], [{ place: INTENT, value: undefined }]);
    return store.get(place);
  };
  const found = await asked().catch(() => {
    throw refused(
      `the store stopped to answer: nobody knows yet whether revision ${number} is in force`,
      '`anyhop fleet status` says so as soon as the store answers.',
    );
  });
  if (found?.value === record) return true;
  if (fault !== undefined) throw fault;
  return false;
}

/** What is being prepared, as long as it is this record. */
export async function intentOf(store: Store, record: string): Promise<Entry | undefined> {
  const intent = await store.get(INTENT);
  return intent?.value === JSON.stringify({ record }) ? intent : undefined;
}

/** Why a change did not come into force. @param own its record */
export async function overtaken(
  store: Store,
  fleet: FleetConfig,
  before: FleetView,
  { number }: Revision,
  own: string,
): Promise<AnyhopError> {
  const isPrepared = (await intentOf(store, own)) !== undefined;
  const { active, intent, record } = await readFleetView(store, fleet);
  if (intent !== undefined && !isPrepared) return inTheWay(intent);
  if (record === before.record)
    return refused(
      isPrepared
        ? `something else is in the place of revision ${number} in the store; nothing was changed`
        : 'the store did not answer for so long that it forgot what was being prepared; nothing was changed',
      'Apply it again.',
    );
  const what = active === undefined ? 'another change' : describe(active);
  return refused(
    `${what} came in between; nothing was changed`,
    '`anyhop fleet log` shows who changed what; plan again on top of it.',
  );
}

/** @param other what somebody else is about to put in force */
export function inTheWay(other: Revision): AnyhopError {
  return refused(
    `${describe(other)} is being prepared; nothing was changed`,
    'Try again when it is in force, or its command has ended: `anyhop fleet status` says so.',
  );
}
