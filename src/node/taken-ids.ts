/**
 * Ids that a config gives to another machine than the one that has them, or had them within the settle time. Packets on their way
 * still mean that one, and so do nodes and agents that have not reloaded yet.
 */
import { FreeIds } from '../config/rules/ids.js';
import type { Config } from '../config/types.js';
import { NO_POOLS, type PoolMemory, take } from '../pool/membership.js';
import { renamedPools } from '../pool/renames.js';
import { type StateMember, statesOf } from '../pool/states.js';
import { keyedPools, type Served, servedOf } from './assemble.js';

export const TAKEN_ID_HINT =
  'Give the new backend another id, or reload again when the settle time is over that begins as the former one leaves.';

/** One sentence each, with a free id. @param before what is in force, and remembered */
export function takenIds(before: Served, after: Pick<Config, 'pools' | 'services'>): string[] {
  const [wasKeyed, isKeyed] = [before, after].map(({ services }) => keyedPools(services));
  const held = before.pools
    .filter(({ name }) => wasKeyed.has(name) || isKeyed.has(name))
    .flatMap(({ state, remembered }) => [state, ...remembered].flat());
  const wanted = after.pools
    .filter(({ name }) => isKeyed.has(name))
    .flatMap(({ name: pool, backends, prior = [] }) =>
      [...backends, ...prior].map((backend) => ({ pool, ...backend })),
    );
  const free = new FreeIds([...held, ...wanted].map(({ id }) => id));
  const holders = holdersOf(held);
  const taken = new Map<string, string>();
  for (const { pool, name, id, address } of wanted) {
    const others = [...(holders.get(id) ?? [])].filter((text) => text !== address.text);
    if (id === 0 || others.length === 0 || taken.has(address.text)) continue;
    taken.set(
      address.text,
      `pools.${pool}: ${name} (${address.text}) has the id ${id}, which ${others[0]} had within the settle time; ` +
        `expected a free one beside the address: ${free.next()}`,
    );
  }
  return [...taken.values()];
}

/** Ids that no other machine can have that comes into a pool, with the addresses that have or had them; undefined where ids do not count. */
export function idHolders(
  { pools, services }: Served,
  pool: string,
): ReadonlyMap<number, ReadonlySet<string>> | undefined {
  const keyed = keyedPools(services);
  if (!keyed.has(pool)) return undefined;
  return holdersOf(
    pools
      .filter(({ name }) => keyed.has(name))
      .flatMap(({ state, remembered }) => [state, ...remembered].flat()),
  );
}

function holdersOf(held: readonly Pick<StateMember, 'id' | 'address'>[]): Map<number, Set<string>> {
  const holders = new Map(held.map(({ id }) => [id, new Set<string>()]));
  for (const { id, address } of held) holders.get(id)!.add(address.text);
  return holders;
}

/**
 * The same for a restart, where the first image has members of remembered states beside those of the file.
 * @param good the last config that was in force, if one is known
 */
export function takenIdsAtRestart(
  good: Pick<Config, 'pools' | 'services'> | undefined,
  after: Pick<Config, 'pools' | 'services'>,
  memory: ReadonlyMap<string, PoolMemory>,
  nowMs: number,
): string[] {
  const before = good === undefined ? { services: [], pools: [] } : servedOf(good);
  const renamed = good === undefined ? new Map() : renamedPools(good, after);
  const coming = take(NO_POOLS, after.pools, { force: false, nowMs, memory, renamed });
  const pools = [...coming.values()].map(({ file, changes }) => statesOf(file, changes));
  return takenIds({ services: before.services, pools: [...before.pools, ...pools] }, after);
}
