/** Pools over all nodes: how many backends are up, in which need owners were found, and whether the nodes have one table. */
import type { PoolStatus, QueuedStatus } from '../api/status.js';
import { type BackendRow, isDown } from './backends.js';
import { gathered, groupedBy } from './gather.js';
import type { Source } from './seen.js';

export interface PoolRow {
  readonly name: string;
  readonly slots: number;
  readonly backends: {
    readonly total: number;
    /** Up on every node, and not draining. */
    readonly up: number;
    readonly draining: number;
    /** On some node. */
    readonly down: number;
  };
  /** Needs other than `normal` in which nodes found owners, such as `panic`. */
  readonly needs: readonly { readonly node: string; readonly mode: string }[];
  /** Whether all nodes have the same owners. */
  readonly agrees: boolean;
  /** SHA-256 of the owners, by the first node. */
  readonly ownersDigest: string;
  /** Changes that wait, the next one first, of the node on which most wait. */
  readonly queued: readonly QueuedStatus[];
  /** ISO 8601: when the last change settles, on the node where it takes longest. */
  readonly settlesAt?: string | undefined;
  /** While the flow hash key changes, on the node where it takes longest: fingerprints, and for how long the former one is asked. */
  readonly keys?: { readonly is: string; readonly was: string; readonly leftMs: number };
}

export function poolRows(
  sources: readonly Source[],
  backends: readonly BackendRow[],
  now: number,
): PoolRow[] {
  const all = gathered(sources, ({ status }) => status.pools.map((pool) => [pool.name, pool] as const));
  const members = groupedBy(backends, ({ pool }) => pool);
  return [...all].map(([name, seen]) => {
    const pools = seen.map(({ thing }) => thing);
    const [first] = pools;
    const rows = members.get(name) ?? [];
    const down = rows.filter((row) => row.downOn.length > 0).length;
    const up = rows.filter((row) => row.isUp).length;
    return {
      name,
      slots: first.slots,
      backends: { total: rows.length, up, draining: rows.length - up - down, down },
      needs: seen.flatMap(({ source, thing }) =>
        thing.mode === 'normal' ? [] : [{ node: source.name, mode: thing.mode }],
      ),
      agrees: pools.every(({ digests }) => digests.owners === first.digests.owners),
      ownersDigest: first.digests.owners,
      queued: pools.reduce(
        (most, pool) => (queuedOf(pool).length > most.length ? queuedOf(pool) : most),
        queuedOf(first),
      ),
      settlesAt:
        pools
          .map(({ change }) => change.settlesAt ?? '')
          .reduce((one, other) => (other > one ? other : one)) || undefined,
      ...keysOf(seen, now),
    };
  });
}

function keysOf(
  seen: readonly { readonly source: Source; readonly thing: PoolStatus }[],
  now: number,
): Pick<PoolRow, 'keys'> {
  const [latest] = seen
    .flatMap(({ source, thing: { change } }) => {
      const { id: was, until } = change.formerKey ?? {};
      if (was === undefined || until === undefined) return [];
      return [{ is: source.status.keyFingerprint, was, leftMs: Math.max(0, Date.parse(until) - now) }];
    })
    .sort((one, other) => other.leftMs - one.leftMs);
  return latest === undefined ? {} : { keys: latest };
}

function queuedOf({ change }: PoolStatus): readonly QueuedStatus[] {
  return change.queued;
}

/** Of one node's own word. */
export function tally(pool: PoolStatus): { up: number; draining: number; down: number } {
  let down = 0;
  let draining = 0;
  for (const backend of pool.backends)
    if (isDown(backend)) down++;
    else if (backend.state === 'draining') draining++;
  return { up: pool.backends.length - down - draining, draining, down };
}
