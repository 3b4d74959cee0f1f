/** A change of one backend in the whole fleet: the config in force, edited where it says so, and put in force everywhere. */
import { DISCOVERED_HINT, discoveredMessage } from '../config/discover/by-hand.js';
import { editedText } from '../config/edit/edit.js';
import type { BackendEdit } from '../config/edit/wanted.js';
import type { PoolConfig } from '../config/types.js';
import { listed } from '../core/listed.js';
import { refused } from '../fleet/refused.js';
import { readFleetView } from '../fleet/view.js';
import {
  type Candidate,
  candidateOf,
  changeFleet,
  type FleetChangeOptions,
  inForce,
  planOf,
} from './fleet-change.js';
import { withStore } from './fleet-place.js';
import { writeResult } from './output.js';
import { drawFilePlan } from './plan-text.js';

export interface FleetBackendOptions extends FleetChangeOptions {
  readonly plan?: true;
}

/** @param words of the command, for the log of the fleet when no message is given */
export async function changeBackendInFleet(
  edit: BackendEdit,
  words: string,
  options: FleetBackendOptions,
): Promise<void> {
  if (options.plan) return planInFleet(edit, words, options);
  await changeFleet(options, async (_, before) => ({
    candidate: edited(before, edit, words, options.force ?? false),
    message: options.message ?? words,
  }));
}

async function planInFleet(edit: BackendEdit, words: string, options: FleetBackendOptions): Promise<void> {
  await withStore(options, async (store, fleet) => {
    const before = await inForce(store, await readFleetView(store, fleet));
    const plan = planOf(before, edited(before, edit, words, true));
    writeResult(options.json, plan, drawFilePlan);
  });
}

/** @throws AnyhopError when nothing is in force, and as `editedText` */
export function edited(
  before: Candidate | undefined,
  edit: BackendEdit,
  words: string,
  force: boolean,
): Candidate {
  if (before === undefined)
    throw refused('nothing is in force in the fleet', '`anyhop fleet apply` puts a config in force.');
  const { text, config } = before;
  if (edit.kind !== 'set') refuseDiscovered(config, edit);
  if (edit.kind === 'remove' && !force) requireDraining(config, edit.backend, edit.pool);
  const after = editedText(text, config.file, edit);
  return after === text ? before : candidateOf(after, `${config.file} with ${words}`);
}

/** @throws AnyhopError ERR_FLEET for a backend of a pool that a source fills */
function refuseDiscovered({ pools }: Candidate['config'], edit: Exclude<BackendEdit, { kind: 'set' }>): void {
  const concerns = ({ name, backends }: PoolConfig): boolean =>
    edit.kind === 'add' || edit.pool !== undefined
      ? edit.pool === name
      : backends.some((one) => one.name === edit.backend);
  const found = pools.find((pool) => pool.backendsFrom !== undefined && concerns(pool));
  if (found !== undefined) throw refused(discoveredMessage(found.name), DISCOVERED_HINT, 2);
}

/** @throws AnyhopError ERR_FLEET when the removal would break the connections of a backend */
function requireDraining({ pools }: Candidate['config'], backend: string, only: string | undefined): void {
  const active = pools.filter(
    ({ name, backends }) =>
      (only ?? name) === name && backends.some((one) => one.name === backend && one.state === 'active'),
  );
  if (active.length === 0) return;
  throw refused(
    `${backend} does not drain in ${listed(active, { text: ({ name }) => name })}: its connections would break`,
    `Drain it first: \`anyhop drain ${backend} --fleet\`. --force removes it now.`,
    2,
  );
}
