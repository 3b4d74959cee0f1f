/** Likely mistakes that are allowed. */
import { SLOTS_PER_BACKEND_ADVISED } from '../../core/limits.js';
import type { Draft, DraftPool } from '../draft.js';
import { idleBackends } from '../idle.js';
import { quote } from '../path.js';
import { nextPrime } from '../prime.js';
import type { Report } from '../problems.js';

export function warnAboutPools(draft: Draft, warn: Report): void {
  const used = new Set(draft.services.map((service) => service.pool));
  for (const pool of draft.pools) {
    warnAboutTableSize(pool, warn);
    for (const idle of idleBackends(pool.backends, pool.tableSize)) warn([...pool.at, 'backends'], idle);
    if (draft.serviceCount !== undefined && !used.has(pool.name))
      warn(pool.at, 'no service uses this pool', 'key');
  }
}

/** Second chance looks up sockets on the host of the agent. */
export function warnAboutAgent({ agent, services }: Draft, warn: Report): void {
  const first = services.find(({ secondChance }) => secondChance);
  if (!agent?.vipElsewhere || first === undefined) return;
  warn(
    [...agent.at, 'vip_elsewhere'],
    `service ${quote(first.name ?? '')} has second_chance: on, and an agent sees only sockets of the VIP on its own host: ` +
      'packets for sockets behind DNAT or in another network namespace are sent on to other backends, which reset their connections',
  );
}

/** It gave 32 bits of a key a meaning before backends had ids. */
export function warnAboutPrefix({ node }: Draft, warn: Report): void {
  if (!node?.written.has('second_chance_prefix')) return;
  warn(
    [...node.at, 'second_chance_prefix'],
    'not used any more: ids name backends in GRE keys; remove it, for the next version refuses it',
    'key',
  );
}

function warnAboutTableSize(pool: DraftPool, warn: Report): void {
  const advised = pool.backends.length * SLOTS_PER_BACKEND_ADVISED;
  if (pool.tableSize >= advised) return;
  warn(
    [...pool.at, 'table_size'],
    `${pool.tableSize} slots for ${pool.backends.length} backends make some visibly busier than others; ` +
      `advised: ${SLOTS_PER_BACKEND_ADVISED} slots per backend, here ${nextPrime(advised)}`,
  );
}
