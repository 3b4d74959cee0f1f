/** What the store says of a fleet, read once: revisions in force and to come, and every member with what it says of itself. */
import type { FleetConfig } from '../config/fleet/types.js';
import { NAME_PATTERN } from '../config/name-fields.js';
import { signedStanding } from './head.js';
import { ACTIVE, INTENT, MEMBERS, NODES, NOW, REVISIONS, revisionPlace } from './places.js';
import { BadRecord, type Revision } from './record.js';
import { Records } from './records.js';
import {
  MEMBER_ROLES,
  type MemberRole,
  readActive,
  readIntent,
  readMember,
  type SaidByMember,
} from './said.js';
import type { Condition, Snapshot, Store } from './store.js';

/** Revisions of nodes since the operator's last one that are looked at. */
const SINCE_MAX = 10_000;

export interface MemberView {
  readonly role: MemberRole;
  readonly name: string;
  /** `forwarder/edge-1` */
  readonly place: string;
  /** Undefined while it does not answer. */
  readonly said: SaidByMember | undefined;
}

export interface FleetView {
  /** In force; undefined when none is. */
  readonly active: Revision | undefined;
  /** Since when. */
  readonly activeAt: string | undefined;
  /** The record of it, as it stands in the store. */
  readonly record: string | undefined;
  readonly intent: Revision | undefined;
  /** What is wrong with what the store says, in words. */
  readonly faults: readonly string[];
  /** Sorted by role and name. */
  readonly members: readonly MemberView[];
  /** That nothing was put in force, or begun, since. */
  readonly unchanged: readonly Condition[];
}

export async function readFleetView(store: Store, fleet: FleetConfig): Promise<FleetView> {
  const now = await store.read(NOW, MEMBERS, NODES);
  const faults: string[] = [];
  const { number, at } = readActive(now.entries.get(ACTIVE)?.value) ?? {};
  const record = number === undefined ? undefined : (await store.get(revisionPlace(number)))?.value;
  const records = new Records({ store, signer: fleet });
  const active = number === undefined ? undefined : await open(record, `revision ${number}`, records, faults);
  if (active?.base !== undefined) await requireLatest(store, active, active.base.number, fleet, faults);
  const intended = now.entries.get(INTENT);
  const intent =
    intended && (await open(readIntent(intended.value)?.record, 'what is being prepared', records, faults));
  return {
    active,
    activeAt: at,
    record,
    intent,
    faults,
    members: membersOf(now, now),
    unchanged: [
      [ACTIVE, now.entries.get(ACTIVE)],
      [INTENT, intended],
    ],
  };
}

/** @param listed what is below members/ @param nodes what is below nodes/ */
export function membersOf(listed: Snapshot, nodes: Snapshot): MemberView[] {
  return [...listed.entries.keys()]
    .flatMap((key): MemberView[] => {
      if (!key.startsWith(MEMBERS)) return [];
      const place = key.slice(MEMBERS.length);
      const [role, name = '', ...others] = place.split('/');
      const known = MEMBER_ROLES.find((each) => each === role);
      if (known === undefined || !NAME_PATTERN.test(name) || others.length > 0) return [];
      return [{ role: known, name, place, said: readMember(nodes.entries.get(NODES + place)?.value) }];
    })
    .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

/** All revisions that were ever in force, the newest first. @param limit at most so many */
export async function readLog(
  store: Store,
  fleet: FleetConfig,
  limit: number,
): Promise<(Revision | string)[]> {
  const { entries } = await store.newest(REVISIONS, limit);
  const records = new Records({ store, signer: fleet });
  const log: (Revision | string)[] = [];
  for (const [place, { value }] of entries)
    try {
      log.push(await records.open(value));
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      log.push(`${place}: ${error.message}`);
    }
  return log;
}

/** Members know the operator's last revision; those who only read the store see it there, behind one of a node that stands upon an earlier one. */
async function requireLatest(
  store: Store,
  { number }: Revision,
  base: number,
  { name, operatorKey }: FleetConfig,
  faults: string[],
): Promise<void> {
  const { entries } = await store.newest(REVISIONS, Math.min(SINCE_MAX, number - base));
  for (const { value } of entries.values()) {
    const later = signedStanding(value, { name, operatorKey });
    if (later !== undefined && later.number > base)
      faults.push(
        `revision ${number}: it stands upon revision ${base}, and the operator has signed ${later.number} since`,
      );
  }
}

function rank({ role }: MemberView): number {
  return MEMBER_ROLES.indexOf(role);
}

async function open(
  record: string | undefined,
  what: string,
  records: Records,
  faults: string[],
): Promise<Revision | undefined> {
  try {
    if (record === undefined) throw new BadRecord('its record is not in the store');
    return await records.open(record);
  } catch (error) {
    if (!(error instanceof BadRecord)) throw error;
    faults.push(`${what}: ${error.message}`);
    return undefined;
  }
}
