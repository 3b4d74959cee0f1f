/**
 * The tables of a pool for the slot map, and what a change would move: made here, from what the node says that it has in force, by the same
 * function that the node makes its tables with. The node only tells its inputs; tables other than its own are noticed by their digest.
 */
import { type InForce, presentState, readInForce } from '../api/in-force.js';
import { NONE } from '../table/layers.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import type { Member } from '../table/state.js';
import type { MovesReport, SlotsReport } from './wire.js';

type PoolInForce = InForce['pools'][number];
type State = ReturnType<typeof presentState>;

/** There is no such pool or backend. */
export class NotThere extends Error {}

export interface PoolMoment {
  readonly generation: number;
  readonly pool: PoolInForce;
  readonly state: State;
  readonly tables: PoolTables;
}

/**
 * @param value the answer to `GET /in-force`
 * @throws NotThere; AnyhopError ERR_SOCKET for what is not understood; Error for tables that are not the node's
 */
export function poolMoment(value: unknown, name: string): PoolMoment {
  const { generation, pools } = readInForce(value, 'the node');
  const pool = pools.find((each) => each.name === name);
  if (pool === undefined) throw new NotThere(`there is no pool ${name}`);
  const state = presentState(pool);
  const tables = resolved(pool, state);
  if (tables.ownersDigest !== pool.owners)
    throw new Error(
      'the node has other tables than these: it was changed meanwhile, or is of another version',
    );
  return { generation, pool, state, tables };
}

export function slotsReport({ generation, pool, tables }: PoolMoment): SlotsReport {
  return {
    pool: pool.name,
    generation,
    digest: pool.owners,
    slots: pool.slots,
    backends: tables.names,
    owners: base64(tables.owners),
    alternates: base64(tables.alternates),
  };
}

/** @throws NotThere */
export function movesReport(
  { generation, pool, state: now, tables }: PoolMoment,
  backend: string,
): MovesReport {
  const member = now.find(({ name }) => name === backend);
  if (member === undefined) throw new NotThere(`pool ${pool.name} has no backend ${backend}`);
  const change = member.state === 'draining' ? 'undrain' : 'drain';
  const state = change === 'drain' ? 'draining' : 'active';
  const changed = now.map((each): State[number] => (each === member ? { ...each, state } : each));
  const { owners } = resolved(pool, changed, tables);
  const gained = new Map<number, number>();
  const index = tables.names.indexOf(backend);
  let ofOthers = 0;
  for (const [slot, owner] of owners.entries()) {
    const former = tables.owners[slot];
    if (owner === former) continue;
    gained.set(owner, (gained.get(owner) ?? 0) + 1);
    if ((change === 'drain' ? former : owner) !== index) ofOthers++;
  }
  const to = [...gained].map(([owner, slots]) => ({ backend: tables.names[owner] ?? 'none', slots }));
  return {
    pool: pool.name,
    backend,
    generation,
    change,
    moved: to.reduce((sum, { slots }) => sum + slots, 0),
    ofOthers,
    slots: pool.slots,
    to: to.sort((a, b) => b.slots - a.slots || (a.backend < b.backend ? -1 : 1)),
    owners: base64(owners),
  };
}

function resolved(
  { slots, panicThreshold, remembered, underFormerKey }: PoolInForce,
  state: State,
  before?: PoolTables,
): PoolTables {
  return resolvePool<Member>({ slots, panicThreshold, state, remembered, underFormerKey, before });
}

/** Of 16-bit numbers, little-endian on any machine. */
function base64(numbers: Uint16Array): string {
  const bytes = Buffer.alloc(numbers.length * 2);
  for (let i = 0; i < numbers.length; i++) bytes.writeUInt16LE(numbers[i] ?? NONE, i * 2);
  return bytes.toString('base64');
}
