/**
 * The digests that name a pool's tables: two nodes of one key that print the same one send every flow to the same backend. SHA-256
 * over a version, the input in canonical form (JSON on one line, members sorted by name) and the table.
 *
 * The owners' digest covers config and health marks alone; `dead` counts as `down` there, for no owner depends on
 * how long a backend has been down or drains, and nodes do not reach these moments together. Which members cannot be reached counts where marks
 * are ignored, for only there owners depend on it.
 *
 * The alternates' digest tells `dead` from `down` and drained from draining, and covers addresses and the remembered states, newest
 * first. Of these it covers what owners depend on, and who of those that are gone was dead. A state that comes again, or is the
 * present one, adds no candidate; it is left out, so that nodes agree that remember it twice, once or not at all.
 */
import { createHash } from 'node:crypto';
import { eligibility, ignoresMarks } from './eligible.js';
import { byName, STACK_VERSION } from './layers.js';
import type { StateOwners } from './owners.js';
import type { Member, PoolState } from './state.js';

/** Version of the function from pool states and layers to owners and alternates (eligible.ts, walk.ts, owners.ts, alternates.ts). */
export const RESOLVE_VERSION = 3;

export interface TableInput {
  readonly slots: number;
  readonly panicThreshold: number;
  readonly state: PoolState;
}

/** `owners` are numbers of members of the state, sorted by name. */
export function digestOwners({ slots, panicThreshold, state }: TableInput, owners: Uint16Array): string {
  return digest('owners', [slots, panicThreshold, canonical(panicThreshold, state, ownerFields)], owners);
}

/**
 * `alternates` are numbers of `members`: those of the state sorted by name, then those that are gone.
 * @param resolved the present state and the remembered ones
 * @param former while the flow hash key changes: the states of the former one
 */
export function digestAlternates(
  { slots, panicThreshold, state }: TableInput,
  resolved: readonly StateOwners[],
  members: readonly Member[],
  alternates: Uint16Array,
  former?: { readonly resolved: readonly StateOwners[]; readonly holders: Uint16Array },
): string {
  const [, ...remembered] = new Set(resolved.map(digestOfState));
  const gone = members.slice(state.length).map(({ health }) => health === 'dead');
  const input = [slots, panicThreshold, canonical(panicThreshold, state, presentFields), remembered, gone];
  if (former === undefined) return digest('alternates', input, alternates);
  const ofFormerKey = digest('holders', [...new Set(former.resolved.map(digestOfState))], former.holders);
  return digest('alternates', [...input, ofFormerKey], alternates);
}

/** A state is remembered for many tables. */
const known = new WeakMap<StateOwners, string>();

function digestOfState(of: StateOwners): string {
  const text = known.get(of) ?? digest('state', canonical(of.panicThreshold, of.state, formerFields));
  known.set(of, text);
  return text;
}

function digest(what: string, input: readonly unknown[], table: Uint16Array = NO_TABLE): string {
  return createHash('sha256')
    .update(`anyhop ${what} ${STACK_VERSION}.${RESOLVE_VERSION}\n${JSON.stringify(input)}\n`)
    .update(littleEndian(table))
    .digest('hex');
}

const NO_TABLE = new Uint16Array(0);

/** `fieldsOf` each member, sorted by name, and who cannot be reached where owners depend on it. */
function canonical(
  panicThreshold: number,
  state: PoolState,
  fieldsOf: (member: Member) => readonly unknown[],
): readonly unknown[] {
  const tellReach = ignoresMarks(eligibility(state, panicThreshold).mode);
  return [...state]
    .sort(byName)
    .map((member) => [
      ...fieldsOf(member),
      ...(tellReach && member.unreachable === true ? ['unreachable'] : []),
    ]);
}

function ownerFields({ name, weight, state, health }: Member): unknown[] {
  return [name, weight, state, health === 'up' ? 'up' : 'down'];
}

function formerFields(member: Member): unknown[] {
  return [...ownerFields(member), member.address?.text];
}

function presentFields({ name, weight, state, health, drained, address }: Member): unknown[] {
  return [name, weight, state, health, address?.text, ...(drained === true ? ['drained'] : [])];
}

/** The bytes of `table`; the program runs on little-endian machines alone, as native/include/anyhop/image.h asserts. */
function littleEndian(table: Uint16Array): Uint8Array {
  return new Uint8Array(table.buffer, table.byteOffset, table.byteLength);
}
