/** A revision of a fleet by its number, for commands. */

import type { FleetConfig } from '../config/fleet/types.js';
import { FLEET_FOUND_REVISIONS_MAX } from '../core/limits.js';
import type { Revision } from '../fleet/record.js';
import { refused } from '../fleet/refused.js';
import type { Store } from '../fleet/store.js';
import { readLog } from '../fleet/view.js';

const REVISIONS_READ_MAX = 10_000;

/** @throws AnyhopError ERR_FLEET when the store has none of the number, or has it no more */
export async function revisionOf(store: Store, fleet: FleetConfig, number: number): Promise<Revision> {
  const revisions = (await readLog(store, fleet, REVISIONS_READ_MAX)).filter(
    (each) => typeof each !== 'string',
  );
  const found = revisions.find((each) => each.number === number);
  if (found !== undefined) return found;
  const isPast = number < (revisions[0]?.number ?? 0);
  throw refused(
    isPast ? `revision ${number} is not kept any more` : `the store has no revision ${number}`,
    isPast
      ? `Of the revisions that sources have made, the newest ${FLEET_FOUND_REVISIONS_MAX} are kept; \`anyhop fleet log\` lists what there is.`
      : '`anyhop fleet log` lists them.',
    2,
  );
}
