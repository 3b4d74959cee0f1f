/**
 * The digests that name a pool's tables: two nodes of one key that print the same one send every flow to the same backend. SHA-256
 * over a version, the input in canonical form (JSON on one line, members sorted by name) and the table.
 *
 * The owners' digest covers config and health marks alone; `dead` counts as `down` there, for no owner depends on
 * how long a backend has been down or drains, and nodes do not reach these moments together. Which members cannot be reached counts where marks
 * are ignored, for only there owners depend on it. The alternates' digest covers
 * the prior state as well, and tells `dead` from `down` and drained from draining.
 */
import { createHash } from 'node:crypto';
import { eligibility, ignoresMarks } from './eligible.js';
import { byName, NONE, STACK_VERSION } from './layers.js';
import type { PoolState } from './state.js';

/** Version of the function from pool states and layers to owners and candidates (eligible.ts, walk.ts, resolve.ts). */
export const RESOLVE_VERSION = 2;

export interface TableInput {
  readonly slots: number;
  readonly panicThreshold: number;
  readonly state: PoolState;
}

/** `owners` are indexes into `names`; each is a member of the state. */
export function digestOwners(input: TableInput, owners: Uint16Array, names: readonly string[]): string {
  const ofMember = new Map(
    input.state
      .map((member) => member.name)
      .sort()
      .map((name, i) => [name, i]),
  );
  // Indexes count present members only, so that a member of the prior state alone cannot change the digest.
  const place = Uint16Array.from(names, (name) => ofMember.get(name) ?? NONE);
  const table = owners.map((owner) => (owner === NONE ? NONE : place[owner]));
  return digest('owners', [input.slots, input.panicThreshold, canonical(input, input.state, false)], table);
}

/** `alternates` are indexes into the sorted union of both states' names, `candidates` tables one after the other. */
export function digestAlternates(
  input: TableInput,
  prior: PoolState,
  candidates: number,
  alternates: Uint16Array,
): string {
  const states = [input.state, prior].map((state) => canonical(input, state, true));
  return digest('alternates', [input.slots, input.panicThreshold, candidates, ...states], alternates);
}

function digest(what: string, input: readonly unknown[], table: Uint16Array): string {
  return createHash('sha256')
    .update(`anyhop ${what} ${STACK_VERSION}.${RESOLVE_VERSION}\n${JSON.stringify(input)}\n`)
    .update(littleEndian(table))
    .digest('hex');
}

function canonical(
  { panicThreshold }: Pick<TableInput, 'panicThreshold'>,
  state: PoolState,
  tellAll: boolean,
): readonly unknown[] {
  const tellReach = ignoresMarks(eligibility(state, panicThreshold).mode);
  return [...state].sort(byName).map(({ name, weight, state: admin, health, drained, unreachable }) => {
    const up = health === 'up' || (health === 'dead' && tellAll) ? health : 'down';
    return [
      name,
      weight,
      admin,
      up,
      ...(drained === true && tellAll ? ['drained'] : []),
      ...(unreachable === true && tellReach ? ['unreachable'] : []),
    ];
  });
}

/** The bytes of `table`; the program runs on little-endian machines alone, as native/include/anyhop/image.h asserts. */
function littleEndian(table: Uint16Array): Uint8Array {
  return new Uint8Array(table.buffer, table.byteOffset, table.byteLength);
}
