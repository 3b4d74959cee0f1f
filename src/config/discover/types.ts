/** Sources of backends and servers, as the program sees their config. */
import type { ValuesOf } from '../draft.js';
import type { backendsFrom, serversFrom } from './schema.js';

export type BackendsFrom = ValuesOf<typeof backendsFrom>;
export type ServersFrom = ValuesOf<typeof serversFrom>;
export type HttpSourceConfig = NonNullable<BackendsFrom['http']>;
export type ConsulSourceConfig = NonNullable<BackendsFrom['consul']>;
export type KubernetesSourceConfig = NonNullable<ServersFrom['kubernetes']>;
