/**
 * Pools that have another name in a new config: what is remembered of a pool must not be lost by that. Services tell which: flows
 * know VIP, protocol and port, and neither a service's nor a pool's name.
 */
import { heirsOf, type ServedFlows } from './service-changes.js';

interface Named {
  readonly pools: readonly { readonly name: string }[];
  readonly services: readonly ServedFlows[];
}

/** By the name of a pool that `before` does not have, the one whose services it serves now, and that `after` does not have. */
export function renamedPools(before: Named, after: Named): ReadonlyMap<string, string> {
  const [was, is] = [before, after].map(({ pools }) => new Set(pools.map(({ name }) => name)));
  const renamed = new Map<string, string>();
  const pairs = before.services.flatMap((old) =>
    heirsOf(old, after.services).map((heir) => [heir.pool, old.pool] as const),
  );
  for (const [name, former] of pairs) {
    const isFree = !renamed.has(name) && ![...renamed.values()].includes(former);
    if (isFree && !was.has(name) && !is.has(former)) renamed.set(name, former);
  }
  return renamed;
}
