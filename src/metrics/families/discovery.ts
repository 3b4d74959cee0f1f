/** Metrics of whoever asks sources of backends and servers: a node, or a proxy host of its own. */
import { gauge } from '../family.js';

export const POOL_SOURCE_FAMILIES = {
  anyhop_discovery_alarm: gauge(
    'Whether the source of the backends of the pool is not followed; of the node that asks it',
    'pool',
  ),
  anyhop_discovery_backends: gauge('Backends that the source of the pool named last', 'pool'),
  anyhop_discovery_answered_timestamp_seconds: gauge(
    'When the source of the pool answered last, in seconds since 1970; 0 before it did',
    'pool',
  ),
};

export const UPSTREAM_SOURCE_FAMILIES = {
  anyhop_discovery_upstream_alarm: gauge(
    'Whether the source of the servers of the upstream is not followed; of who asks it',
    'upstream',
  ),
  anyhop_discovery_upstream_servers: gauge('Servers that the source of the upstream named last', 'upstream'),
  anyhop_discovery_upstream_answered_timestamp_seconds: gauge(
    'When the source of the upstream answered last, in seconds since 1970; 0 before it did',
    'upstream',
  ),
};
