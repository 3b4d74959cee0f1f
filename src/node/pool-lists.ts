/** The lists of backends that a membership comes to: for the file, for those who send, and to see whether they are others than before. */
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import type { PoolChanges } from '../pool/change.js';
import type { Recipients } from '../pool/least-mtu.js';
import { type Membership, markedBackends, reachedBackends } from '../pool/membership.js';
import { formerMembers } from '../pool/states.js';

/** When a queued change is taken back, the pool's file no longer has it. */
export function withPools(file: LoadedConfig<'run'>, pools: Membership): LoadedConfig<'run'> {
  return { ...file, pools: file.pools.map((pool): PoolConfig => pools.get(pool.name)?.file ?? pool) };
}

export function recipientsOf({ services }: LoadedConfig<'run'>, membership: Membership): Recipients {
  const pools = [...membership].map(([name, { changes }]) => {
    return { name, backends: changes.members, prior: formerMembers(changes) };
  });
  return { services, pools };
}

export function hasSameBackends(some: Membership, others: Membership): boolean {
  const isUntouched = [...others].every(([name, { changes }]) => {
    const other = some.get(name)?.changes;
    if (other === undefined || other.override !== changes.override) return false;
    const [was, is] = [listsOf(other), listsOf(changes)];
    return was.size === is.size && [...is].every((list) => was.has(list));
  });
  const text = (pools: Membership): string =>
    [...markedBackends(pools), ...reachedBackends(pools)]
      .map(({ pool, backend }) => `${pool.name}/${backend.name} ${backend.address.text}`)
      .join();
  return (isUntouched && some.size === others.size) || text(some) === text(others);
}

/** The same lists for as long as nothing is planned, whatever health does. */
function listsOf({
  members,
  queue,
  remembered,
  formerKey,
}: PoolChanges): ReadonlySet<PoolChanges['members']> {
  return new Set([
    members,
    ...[...queue, ...remembered, ...(formerKey?.states ?? [])].map((one) => one.members),
  ]);
}
