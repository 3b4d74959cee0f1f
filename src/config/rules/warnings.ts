/** What is allowed and most likely not meant. */
import { SLOTS_PER_BACKEND_ADVISED } from '../../core/limits.js';
import type { Draft, DraftPool } from '../draft.js';
import { nextPrime } from '../prime.js';
import type { Report } from '../problems.js';

export function warnAboutPools(draft: Draft, warn: Report): void {
  const used = new Set(draft.services.map((service) => service.pool));
  for (const pool of draft.pools) {
    warnAboutTableSize(pool, warn);
    if (pool.backends.every((backend) => backend.weight === 0 || backend.state === 'draining')) {
      warn(
        [...pool.path, 'backends'],
        'every backend is draining or has weight 0: none is meant to take new flows, so one that is not must',
      );
    }
    if (draft.serviceCount !== undefined && !used.has(pool.name))
      warn(pool.path, 'no service uses this pool', 'key');
  }
}

function warnAboutTableSize(pool: DraftPool, warn: Report): void {
  const advised = pool.backends.length * SLOTS_PER_BACKEND_ADVISED;
  if (pool.tableSize >= advised) return;
  warn(
    [...pool.path, 'table_size'],
    `${pool.tableSize} slots for ${pool.backends.length} backends make some visibly busier than others; ` +
      `advised: ${SLOTS_PER_BACKEND_ADVISED} slots a backend, here ${nextPrime(advised)}`,
  );
}
