/**
 * What a forwarder may tell a backend's agent: that it drains this address, in force and to stay. The host believes it and stops.
 * The answer is made of two sets that are counted once for each image and each change of the pools, not for each question.
 */
import type { BackendConfig } from '../config/types.js';
import type { Membership } from '../pool/membership.js';
import type { NamedStates } from '../pool/states.js';

type Tables = readonly Pick<NamedStates, 'state'>[];
type ActiveAddresses = ReadonlySet<string>;
type Owner = Pick<BackendConfig, 'state' | 'weight' | 'address'>;

const inForce = new WeakMap<Tables, ActiveAddresses>();
const inTheEnd = new WeakMap<Membership, ActiveAddresses>();

/**
 * Whether every pool that has this address has it draining, by the tables in force and once all that waits is in force. In a pool without an
 * active backend those that drain get new flows: there nobody is drained.
 * @param tables what the image in force was made of
 */
export function isDrained(address: string, tables: Tables, membership: Membership): boolean {
  return (
    !countedOnce(inForce, tables, activeInTables).has(address) &&
    !countedOnce(inTheEnd, membership, activeInTheEnd).has(address)
  );
}

function activeInTables(pools: Tables): ActiveAddresses {
  return new Set(pools.flatMap(({ state }) => owning(state)));
}

function activeInTheEnd(membership: Membership): ActiveAddresses {
  return new Set(
    [...membership.values()].flatMap(({ changes: { members, queue } }) =>
      owning(queue.at(-1)?.members ?? members),
    ),
  );
}

/** Addresses of those that get new flows, now or when they are up. */
function owning(members: readonly Owner[]): string[] {
  const active = members.filter(({ state }) => state === 'active');
  const isServed = active.some(({ weight }) => weight > 0);
  return (isServed ? active : members).map(({ address }) => address.text);
}

function countedOnce<T extends object>(
  known: WeakMap<T, ActiveAddresses>,
  of: T,
  count: (of: T) => ActiveAddresses,
): ActiveAddresses {
  const before = known.get(of);
  if (before !== undefined) return before;
  const counted = count(of);
  known.set(of, counted);
  return counted;
}
