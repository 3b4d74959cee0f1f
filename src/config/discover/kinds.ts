/** What sources fill, and how each of the two is written: the backends of a pool, and the servers of an upstream. */
import {
  BACKENDS_PER_POOL_MAX,
  L7_SERVERS_PER_UPSTREAM_MAX,
  L7_WEIGHT_MAX,
  WEIGHT_MAX,
} from '../../core/limits.js';

export const GROUP_KINDS = {
  pool: {
    /** Where all of them are in a config. */
    at: ['pools'],
    list: 'backends',
    from: 'backends_from',
    one: 'backend',
    least: 'min_backends',
    /** For how long what was taken away counts together. */
    window: 'settle time',
    most: BACKENDS_PER_POOL_MAX,
    weightMax: WEIGHT_MAX,
    hasPorts: false,
  },
  upstream: {
    at: ['l7', 'upstreams'],
    list: 'servers',
    from: 'servers_from',
    one: 'server',
    least: 'min_servers',
    window: 'drain deadline',
    most: L7_SERVERS_PER_UPSTREAM_MAX,
    weightMax: L7_WEIGHT_MAX,
    hasPorts: true,
  },
} as const;
export type GroupKind = keyof typeof GROUP_KINDS;

/** Names a pool or an upstream among all of both: `pool web`. */
export type GroupKey = `${GroupKind} ${string}`;

/** The parts of a key. */
export function groupOf(key: GroupKey): { readonly kind: GroupKind; readonly name: string } {
  const [kind, name] = key.split(' ', 2) as [GroupKind, string];
  return { kind, name };
}
