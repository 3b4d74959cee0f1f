/**
 * Puts a config in force in a fleet, in two phases: every member that takes part makes it ready and says so; when the last one has, all
 * switch. Otherwise nothing changes, and who disagrees is named.
 *
 *   upload -> intent, which ends with whoever asks -> prepared everywhere? -> waits for nothing? -> active -> switched everywhere
 */
import type { FleetConfig } from '../config/fleet/types.js';
import { AnyhopError } from '../core/errors.js';
import { listed } from '../core/listed.js';
import { packed } from './blob.js';
import { timeAfter } from './head.js';
import type { SigningKey } from './keys.js';
import { blobPlace, INTENT, REVISIONS } from './places.js';
import { inTheWay, intentOf, overtaken, putInForce } from './put-in-force.js';
import { digestOfText, type NodeRevision, type Revision, sealed } from './record.js';
import { NAMES_SHOWN_MAX, names, refused } from './refused.js';
import type { Store } from './store.js';
import { until } from './until-members.js';
import type { FleetView, MemberView } from './view.js';

const INTENT_LEASE_SECONDS = 10;
/** How long a member may take to prepare, and to switch. */
const PREPARE_MS = 60_000;
const SWITCH_MS = 30_000;
/** Revisions are written in order; a few that are no such thing do not hide the last one. */
const NEWEST = 10;

/** What is to be in force, and what is said of it. */
export interface Change extends Pick<Revision, 'digest' | 'by' | 'message' | 'force' | 'without'> {
  readonly text: string;
  readonly changes: readonly string[];
}

export interface ApplyOptions {
  readonly fleet: FleetConfig;
  readonly key: SigningKey;
  /** Of a node that has found backends: its name, and the operator's revision that it stands upon. */
  readonly node?: { readonly name: string; readonly base: NodeRevision['base'] };
  readonly signal: AbortSignal;
  /** A line for people on what it waits for; the same one again and again. */
  readonly progress: (line: string) => void;
}

export interface Applied {
  readonly revision: Revision;
  /** Of those that took part. */
  readonly members: number;
  readonly prepareMs: number;
  readonly waitMs: number;
  readonly switchMs: number;
  /** Who did not switch in time, each with what is known of it. */
  readonly late: readonly string[];
}

/** What a node has found would have to wait: nobody has asked for it, so it is not begun. */
export class WouldWait extends AnyhopError {
  readonly waits: readonly string[];

  constructor(waits: readonly string[]) {
    super('ERR_FLEET', `it would wait: ${waits.join('; ')}`);
    this.waits = waits;
  }
}

/**
 * A change that a node has found goes on without members that do not answer: they follow when they are back, and a backend that has gone may
 * be one of them.
 * @param before what was in force when the change was made; when something else is by now, it is refused
 * @throws AnyhopError ERR_FLEET when it is not in force afterwards, with the reason; ERR_STORE when the store does not answer
 */
export async function apply(
  store: Store,
  before: FleetView,
  change: Change,
  { fleet, key, node, signal, progress }: ApplyOptions,
): Promise<Applied> {
  if (before.intent !== undefined) throw inTheWay(before.intent);
  const without = node === undefined ? change.without : placesOf(before.members.filter(isSilent));
  requireMembers(before, without);
  const { text, ...said } = change;
  const revision: Revision = {
    fleet: fleet.name,
    number: await nextNumber(store, before),
    ...(before.record !== undefined && { parent: digestOfText(before.record) }),
    ...(before.activeAt !== undefined && { parentAt: before.activeAt }),
    ...(node && { base: node.base }),
    config: digestOfText(text),
    at: timeAfter(before.active),
    ...said,
    changes: [...said.changes],
    without: [...said.without],
  };
  const { number } = revision;
  const record = sealed(revision, key, node?.name);
  const digest = digestOfText(record);
  await upload(store, revision.config, text);
  const lease = store.lease(INTENT_LEASE_SECONDS);
  try {
    const startMs = performance.now();
    const isBegun = await store.write(before.unchanged, [
      { place: INTENT, value: JSON.stringify({ record }), lease },
    ]);
    if (!isBegun && (await intentOf(store, record)) === undefined)
      throw await overtaken(store, fleet, before, revision, record);
    let preparedMs: number | undefined;
    await until(store, signal, PREPARE_MS, (members) => {
      const those = taking(members, without);
      const preparing = those.filter(({ said }) => said?.prepared?.record !== digest);
      refuseDissent(those, digest);
      if (preparing.length > 0) {
        progress(
          `revision ${number}: ${those.length - preparing.length} of ${those.length} members are prepared`,
        );
        return { missing: names(preparing, 'prepared') };
      }
      preparedMs ??= performance.now() - startMs;
      const waits = [...new Set(those.flatMap(({ said }) => said?.prepared?.waits ?? []))];
      if (waits.length === 0 || change.force) return undefined;
      if (node !== undefined) throw new WouldWait(waits);
      progress(`revision ${number} waits: ${waits.join('; ')}`);
      return { missing: waits, forEver: true };
    });
    const readyMs = performance.now();
    if (!(await putInForce(store, before, number, record)))
      throw await overtaken(store, fleet, before, revision, record);
    const late = await switched(store, signal, { number, without }, progress);
    const prepareMs = preparedMs ?? 0;
    return {
      revision,
      members: taking(before.members, without).length,
      prepareMs,
      waitMs: readyMs - startMs - prepareMs,
      switchMs: performance.now() - readyMs,
      late,
    };
  } finally {
    await lease.revoke(); // with it goes the intent, if it is still there
  }
}

/** @throws AnyhopError ERR_FLEET when a member does not answer, or there is none */
function requireMembers({ members }: FleetView, without: readonly string[]): void {
  const unknown = without.filter((place) => !members.some((member) => member.place === place));
  if (unknown.length > 0)
    throw refused(
      `no member of the fleet is called ${listed(unknown)}`,
      '`anyhop fleet status` lists the members.',
      2,
    );
  const those = taking(members, without);
  const silent = those.filter(isSilent);
  if (silent.length > 0)
    throw refused(
      `${names(silent).join(', ')} ${silent.length === 1 ? 'does' : 'do'} not answer`,
      'Start it, leave it out with --without NAME, or, when it is gone for good, strike it off with `anyhop fleet forget NAME`.',
    );
  if (those.length === 0)
    throw refused(
      'the fleet has no member',
      'Start `anyhop run`, `anyhop agent` or `anyhop l7 run` on hosts whose config file has this section fleet.',
    );
}

function isSilent({ said }: MemberView): boolean {
  return said === undefined;
}

function placesOf(members: readonly MemberView[]): string[] {
  return members.map(({ place }) => place);
}

function taking(members: readonly MemberView[], without: readonly string[]): MemberView[] {
  return members.filter(({ place }) => !without.includes(place));
}

/** Above every number that was ever in force, also where the store has forgotten it. */
async function nextNumber(store: Store, { active, intent, members }: FleetView): Promise<number> {
  const { entries } = await store.newest(REVISIONS, NEWEST);
  const used = [...entries.keys()].map((place) => Number(place.slice(REVISIONS.length)));
  return (
    1 +
    [...used, active?.number ?? 0, intent?.number ?? 0, ...members.map(({ said }) => said?.active ?? 0)]
      .filter(Number.isSafeInteger)
      .reduce((a, b) => Math.max(a, b), 0)
  );
}

async function upload(store: Store, sha256: string, text: string): Promise<void> {
  const place = blobPlace(sha256);
  await store.write([[place, undefined]], [{ place, value: packed(text) }]); // one that is there is the same
}

/** @param record digest of the record that is asked for */
function refuseDissent(members: readonly MemberView[], record: string): void {
  const dissent = members.filter(({ said }) => said?.refused?.record === record);
  if (dissent.length === 0) return;
  const reasons = dissent
    .slice(0, NAMES_SHOWN_MAX)
    .map(({ place, said }) => `${place}: ${said?.refused?.reason}`);
  throw refused(
    `not taken by ${dissent.length} of ${members.length} members; nothing was changed\n${reasons.join('\n')}`,
    'Mend it there, or leave a member out with --without NAME: it is then not ready.',
  );
}

/** Resolves to those that did not switch in time, each with what is known of it. */
async function switched(
  store: Store,
  signal: AbortSignal,
  { number, without }: { readonly number: number; readonly without: readonly string[] },
  progress: (line: string) => void,
): Promise<string[]> {
  let late: string[] = [];
  try {
    await until(store, signal, SWITCH_MS, (members) => {
      const those = taking(members, without);
      const left = those.filter(({ said }) => (said?.active ?? 0) < number);
      late = left.map(({ place, said }) => `${place}: ${said?.refused?.reason ?? 'it has not switched'}`);
      if (left.length === 0) return undefined;
      progress(`revision ${number} is in force on ${those.length - left.length} of ${those.length} members`);
      return { missing: late };
    });
  } catch (error) {
    if (!(error instanceof AnyhopError) || error.code !== 'ERR_FLEET') throw error;
  }
  return late;
}
