/**
 * What all hosts of a fleet must make of a config alike: services, and the owners of every slot while all backends are up. It names the
 * versions of table and flow hash too, so that a host with another build is found before a packet goes another way.
 */
import { createHash } from 'node:crypto';
import type { Config } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import { statesOfConfig } from '../pool/states.js';
import { resolvePool } from '../table/resolve.js';

const FORMAT = 1;

/** SHA-256 in hexadecimal digits. 1,000 backends: 15 ms. */
export function fleetDigest({ pools, services }: Pick<Config, 'pools' | 'services'>): string {
  const tables = pools.map((pool) => {
    const { ownersDigest } = resolvePool(statesOfConfig(pool));
    return [
      pool.name,
      ownersDigest,
      pool.settleMs,
      pool.drainDeadlineMs,
      pool.deadAfterMs,
      pool.panicThreshold,
    ];
  });
  const served = services.map(({ name, vip, protocol, portFirst, portLast, pool, hash, secondChance }) => [
    name,
    vip.text,
    protocol,
    portFirst,
    portLast,
    pool,
    hash,
    secondChance,
  ]);
  const value = { format: FORMAT, flowHash: L.FLOW_HASH_VERSION, tables, served };
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
