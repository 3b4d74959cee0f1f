/** What sources fill, as the rest of this folder sees it: a group with members, whether they are backends of a pool or servers of an upstream. */
import { type GroupKey, type GroupKind, groupOf } from '../config/discover/kinds.js';
import type { BackendsFrom, ServersFrom } from '../config/discover/types.js';
import type { Standing } from '../config/edit/found.js';
import type { L7Config } from '../config/l7/types.js';
import type { BackendConfig, PoolConfig } from '../config/types.js';

export interface Group {
  readonly key: GroupKey;
  readonly kind: GroupKind;
  readonly name: string;
  readonly members: readonly Standing[];
  readonly from: BackendsFrom | ServersFrom;
  /** For how long what was taken away counts together. */
  readonly windowMs: number;
}

/** A config as far as it has groups. */
export interface Grouped {
  readonly pools: readonly PoolConfig[];
  readonly l7?: Pick<L7Config, 'upstreams' | 'drainDeadlineMs'> | undefined;
}

/** Those that have a source. */
export function groupsOf({ pools, l7 }: Grouped): Group[] {
  return [
    ...pools.flatMap(({ name, backendsFrom, settleMs, backends }) =>
      groupWith('pool', name, backendsFrom, settleMs, () => backends.map(standingOf)),
    ),
    ...(l7?.upstreams ?? []).flatMap(({ name, serversFrom, servers }) =>
      groupWith('upstream', name, serversFrom, l7!.drainDeadlineMs, () => servers.map(standingOf)),
    ),
  ];
}

/** Members of a pool or an upstream, also of one without a source; undefined when there is none of that name. */
export function membersIn({ pools, l7 }: Grouped, key: GroupKey): Standing[] | undefined {
  const { kind, name } = groupOf(key);
  if (kind === 'pool') return pools.find((one) => one.name === name)?.backends.map(standingOf);
  return l7?.upstreams.find((one) => one.name === name)?.servers.map(standingOf);
}

function groupWith(
  kind: GroupKind,
  name: string,
  from: Group['from'] | undefined,
  rememberedMs: number,
  members: () => Standing[],
): Group[] {
  if (from === undefined) return [];
  const windowMs = Math.max(rememberedMs, from.debounceMs);
  return [{ key: `${kind} ${name}`, kind, name, members: members(), from, windowMs }];
}

function standingOf({
  name,
  address,
  port,
  weight,
  state,
  leaves = false,
}: Pick<BackendConfig, 'name' | 'address' | 'weight' | 'state' | 'leaves'> & {
  readonly port?: number;
}): Standing {
  return { name, address: address.text, ...(port !== undefined && { port }), weight, state, leaves };
}
