/** Metrics of a node: its engine, what is in force, services, pools and backends. */
import { counter, gauge, histogram } from '../family.js';
import { DEFEND_FAMILIES } from './defend.js';
import { POOL_SOURCE_FAMILIES } from './discovery.js';

const BACKEND = ['pool', 'backend'];

export const NODE_FAMILIES = {
  anyhop_ready: gauge('Whether the node is ready for traffic, as `anyhop ready` says'),
  anyhop_node_info: gauge(
    'Name and interface, and what all nodes of a fleet must have in common; always 1',
    'node',
    'interface',
    'key_fingerprint',
    'flow_hash_version',
  ),

  anyhop_engine_info: gauge('The engine that forwards, and how; always 1', 'engine', 'mode'),
  anyhop_engine_slower_than_fastest: gauge(
    'Whether engine: auto has taken another engine than the fastest one, which does not work here',
  ),
  anyhop_engine_detached: gauge(
    'Whether no packet reaches the engine, since another program took its own off',
  ),
  anyhop_engine_received_packets_total: counter('Frames that the engine took from the interface'),
  anyhop_engine_sent_packets_total: counter('Packets that the engine sent'),
  anyhop_engine_send_failed_packets_total: counter('Packets that the kernel or the driver refused to send'),
  anyhop_engine_missed_packets_total: counter(
    'Packets for VIPs that were lost before the engine saw them, in a full ring or queue',
  ),

  anyhop_packets_total: counter(
    'Packets by their verdict; where forwarding outlives the process, the count goes on across restarts',
    'verdict',
  ),
  anyhop_service_ready: gauge('Whether what is sent to the service here reaches a backend', 'service'),
  anyhop_service_info: gauge('What the service is; always 1', 'service', 'vip', 'protocol', 'port', 'pool'),
  anyhop_service_packets_total: counter('Packets forwarded for the service', 'service'),
  anyhop_service_bytes_total: counter('IP bytes, as received, forwarded for the service', 'service'),

  anyhop_backend_packets_total: counter('Packets forwarded to the backend', ...BACKEND),
  anyhop_backend_bytes_total: counter('IP bytes, as received, forwarded to the backend', ...BACKEND),
  anyhop_backend_up: gauge('Whether the backend is up by its checks and can be reached', ...BACKEND),
  anyhop_backend_state: gauge(
    '1 for the state in which the backend is: active or draining',
    ...BACKEND,
    'state',
  ),
  anyhop_backend_reachable: gauge('Whether the kernel knows a next hop to the backend', ...BACKEND),
  anyhop_backend_path_mtu_bytes: gauge(
    'The largest packet that fits the path to the backend, with all headers',
    ...BACKEND,
  ),
  anyhop_backend_weight: gauge('Weight of the backend', ...BACKEND),
  anyhop_backend_slots: gauge('Slots of the lookup table that the backend owns', ...BACKEND),
  anyhop_backend_agent_up: gauge('Whether the agent of the backend answers', ...BACKEND),
  anyhop_backend_open_connections: gauge(
    "TCP connections to VIPs on the backend's host, as its agent reports; of all pools that it serves",
    ...BACKEND,
  ),

  anyhop_pool_info: gauge(
    'Digest of the lookup table, which all nodes of a fleet share; always 1',
    'pool',
    'digest',
  ),
  anyhop_pool_alternates_info: gauge(
    'Digest of the alternates, which all nodes of a fleet share; always 1',
    'pool',
    'digest',
  ),
  anyhop_pool_mode: gauge(
    '1 for how the owners of slots are found: normal, or by which emergency',
    'pool',
    'mode',
  ),
  anyhop_pool_slots: gauge('Size of the lookup table', 'pool'),
  anyhop_pool_remembered_states: gauge('States of the last settle time that are remembered', 'pool'),
  anyhop_pool_changes_waiting: gauge('Planned changes that wait for their turn', 'pool'),
  anyhop_pool_drains: gauge(
    'Draining backends: open, while connections may be left; done, when none is',
    'pool',
    'state',
  ),

  anyhop_checks_total: counter(
    'Health checks that have ended; not_made is the fault of this host',
    'pool',
    'kind',
    'outcome',
  ),
  anyhop_check_duration_seconds: histogram('How long good and failed health checks took', 'pool', 'kind'),

  anyhop_image_generation: gauge('Number of the image in force'),
  anyhop_image_bytes: gauge('Size of the image in force'),
  anyhop_image_publish_seconds: histogram('How long new images took, from the first table to being in force'),
  anyhop_image_publish_failed: gauge(
    'Whether the newest image could not be put in force, and an older one forwards',
  ),
  anyhop_path_reports_total: counter(
    'Reports of routers on path MTUs that taught nothing, by the reason',
    'reason',
  ),
  ...DEFEND_FAMILIES,
  anyhop_fleet_revision: gauge("Revision of the fleet's config that is in force here; 0 for none"),
  anyhop_fleet_revision_in_store: gauge(
    "Revision of the fleet's config that is in force in the fleet, as its store said last; 0 before it did",
  ),
  anyhop_fleet_store_reachable: gauge('Whether the store of the fleet answers'),
  anyhop_fleet_store_answered_timestamp_seconds: gauge(
    'When the store of the fleet answered last, in seconds since 1970; 0 before it did',
  ),
  ...POOL_SOURCE_FAMILIES,
  anyhop_health_views: gauge(
    'Nodes whose views of the backends are fresh, this one included, with `fleet.views: quorum`',
  ),
  anyhop_state_not_kept: gauge('Whether what must survive a restart could not be written'),
};
