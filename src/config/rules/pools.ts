/** Rules on pools and their backends. */
import {
  BACKENDS_MAX,
  BACKENDS_PER_POOL_MAX,
  POOLS_MAX,
  TABLE_SIZE_MAX,
  TABLE_SIZE_MIN,
} from '../../core/limits.js';
import type { IpAddress, IpPrefix } from '../../packet/address.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftBackend, DraftPool } from '../draft.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../name-fields.js';
import { quote } from '../path.js';
import { isPrime, nextPrime } from '../prime.js';
import type { Report } from '../problems.js';
import { whyUnusable } from './address.js';
import { Unique } from './unique.js';

export function checkPools(draft: Draft, document: ConfigDocument, report: Report): void {
  const poolCount = draft.poolNames?.size;
  if (poolCount === 0) report(['pools'], 'found an empty mapping; expected at least one pool');
  if (poolCount !== undefined && poolCount > POOLS_MAX) {
    report(['pools'], `found ${poolCount} pools; expected ${POOLS_MAX} at most`);
  }
  const memberCount = draft.pools.reduce(
    (sum, pool) => sum + pool.backends.length + (pool.prior?.length ?? 0),
    0,
  );
  if (memberCount > BACKENDS_MAX) {
    report(
      ['pools'],
      `found ${memberCount} backends in all pools, prior ones included; expected ${BACKENDS_MAX} at most`,
    );
  }
  for (const pool of draft.pools) {
    if (!NAME_PATTERN.test(pool.name)) {
      report(pool.at, `found ${quote(pool.name)}; expected ${NAME_EXPECTED}`, 'key');
    }
    checkTableSize(pool, report);
    checkMembers(pool.backends, [...pool.at, 'backends'], document, report);
    if (pool.prior !== undefined) checkMembers(pool.prior, [...pool.at, 'prior'], document, report);
    checkFamilies(draft, pool, report);
  }
}

function checkTableSize(pool: DraftPool, report: Report): void {
  const path = [...pool.at, 'table_size'];
  const { tableSize } = pool;
  if (!isPrime(tableSize)) {
    report(
      path,
      `found ${tableSize}, which is not a prime; expected a prime number, ${TABLE_SIZE_MIN} to ` +
        `${TABLE_SIZE_MAX}: the next one is ${nextPrime(tableSize)}`,
    );
  }
  const members = Math.max(pool.backends.length, pool.prior?.length ?? 0);
  if (tableSize <= members) {
    report(path, `found ${tableSize} slots for ${members} backends; expected more slots than backends`);
  }
}

function checkMembers(
  members: readonly DraftBackend[],
  path: readonly (string | number)[],
  document: ConfigDocument,
  report: Report,
): void {
  if (members.length > BACKENDS_PER_POOL_MAX) {
    report(path, `found ${members.length} backends; expected ${BACKENDS_PER_POOL_MAX} at most`);
  }
  const names = new Unique(document, report);
  const addresses = new Unique(document, report);
  for (const { at, name, address } of members) {
    if (name !== undefined) names.add(name, [...at, 'name'], `the backend name ${quote(name)}`);
    if (address === undefined) continue;
    addresses.add(address.text, [...at, 'address'], `the backend address ${address.text}`);
    const why = whyUnusable(hostPrefix(address));
    if (why !== undefined) report([...at, 'address'], `${why}; expected an address that GRE can be sent to`);
  }
}

/** GRE to a backend needs a source address of its family. */
function checkFamilies(draft: Draft, pool: DraftPool, report: Report): void {
  const { sources = [], wrong } = draft.node ?? {};
  if (sources.length === 0 || wrong?.has('source')) return;
  for (const { at, address } of pool.backends) {
    if (address === undefined || sources.some((source) => source.value.address.family === address.family))
      continue;
    report(
      [...at, 'address'],
      `found the IPv${address.family} address ${address.text}, but node.source has no IPv${address.family} entry; ` +
        'expected an address of a family that node.source has',
    );
  }
}

export function hostPrefix(address: IpAddress): IpPrefix {
  const length = address.bytes.length * 8;
  return { address, length, text: `${address.text}/${length}` };
}
