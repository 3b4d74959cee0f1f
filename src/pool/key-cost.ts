/** What another flow hash key costs: how many flows get another owner by it, and whose connections have no second chance there. */
import type { Config } from '../config/types.js';
import { percent } from '../core/figures.js';
import { listed } from '../core/listed.js';

/**
 * Each flow keeps its owner by chance alone.
 * @returns for each pool with two owners or more, the share of its flows that get another one
 */
export function keyMoves({ pools }: Pick<Config, 'pools'>): string[] {
  return pools.flatMap(({ name, backends }) => {
    const owning = backends.filter(({ state }) => state === 'active').map(({ weight }) => weight);
    const sum = owning.reduce((a, b) => a + b, 0);
    const stay = owning.reduce((all, weight) => all + (weight / sum) ** 2, 0);
    return sum === 0 || stay === 1 ? [] : [`${percent(1 - stay)} of the flows of pool ${name}`];
  });
}

/** Whose connections break by it: of all others, the former owner is the first alternate for a settle time (rekey.ts). */
export function keyLosses({ pools, services }: Pick<Config, 'pools' | 'services'>): string[] {
  const used = new Set(services.map(({ pool }) => pool));
  const moved = pools.filter(({ name, backends }) => backends.length > 1 && used.has(name));
  const names = new Set(moved.map(({ name }) => name));
  const unsafe = services.filter(({ pool, secondChance }) => names.has(pool) && !secondChance);
  const backends = moved.flatMap((pool) =>
    pool.backends.flatMap(({ name, agent }) => (agent ? [] : [`${pool.name}/${name}`])),
  );
  const of = 'another key gives nearly all flows other slots, and connections break of';
  return [
    ...(unsafe.length === 0
      ? []
      : [`${of} services without second chance: ${listed(unsafe, { text: ({ name }) => name })}`]),
    ...(backends.length === 0 ? [] : [`${of} backends without an agent: ${listed(backends)}`]),
  ];
}
