/**
 * What an operator's change does about the revisions that nodes put in force by themselves (records.ts): it waits while one is being prepared,
 * and begins anew on top of one that came in between, since nobody has decided it who would have to be asked.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FleetConfig } from '../config/fleet/types.js';
import type { Revision } from './record.js';
import { describe } from './refused.js';
import type { Store } from './store.js';
import { type FleetView, readFleetView } from './view.js';

/** A node prepares for so long at most. */
const WAIT_MS = 60_000;
const LOOK_MS = 300;

/**
 * A view in which no node prepares anything, if that comes in time.
 * @param progress a line for people; the same one again and again
 * @throws AnyhopError ERR_STORE
 */
export async function viewAtRest(
  store: Store,
  fleet: FleetConfig,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: (line: string) => void },
): Promise<FleetView> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    const view = await readFleetView(store, fleet);
    if (view.intent?.base === undefined || signal.aborted || performance.now() > endMs) return view;
    progress(`${describe(view.intent)} is being prepared: waiting for it`);
    await sleep(LOOK_MS);
  }
}

/** Whether nodes have changed what is in force since a view, or are about to, and nobody else has. @throws AnyhopError ERR_STORE */
export async function onlyFoundSince(store: Store, fleet: FleetConfig, before: FleetView): Promise<boolean> {
  const { active, intent, record } = await readFleetView(store, fleet);
  if (intent !== undefined && intent.base === undefined) return false;
  const isFound = record !== before.record && active?.base !== undefined;
  return decidedBy(active) === decidedBy(before.active) && (isFound || intent !== undefined);
}

/** Number of the operator's revision that one is, or stands upon. */
function decidedBy(revision: Revision | undefined): number | undefined {
  return revision?.base?.number ?? revision?.number;
}
