/** Metrics of a proxy host: HAProxy, its frontends, upstreams and servers. HAProxy counts from 0 after each reload. */
import { counter, gauge } from '../family.js';

const SERVER = ['upstream', 'server'];

export const L7_FAMILIES = {
  anyhop_l7_healthy: gauge('Whether the health check of the forwarders is answered with yes'),
  anyhop_l7_stage: gauge('1 for the stage of a drain that the host is in; serving without one', 'stage'),
  anyhop_l7_haproxy_info: gauge('Version of HAProxy; always 1', 'version'),
  anyhop_l7_haproxy_up: gauge('Whether HAProxy serves'),
  anyhop_l7_haproxy_connections: gauge('Connections of clients'),
  anyhop_l7_haproxy_max_connections: gauge('How many connections of clients there may be'),
  anyhop_l7_haproxy_old_workers: gauge('Workers of former configs that still serve connections'),
  anyhop_l7_haproxy_restarts_total: counter('How often HAProxy ended of itself and was started again'),
  anyhop_l7_haproxy_reloads_total: counter('Reloads of HAProxy'),
  anyhop_l7_haproxy_failed_transfers_total: counter('Reloads at which waiting connections were lost'),
  anyhop_l7_failed_reloads_total: counter('Configs that were refused'),
  anyhop_l7_access_log_lines_dropped_total: counter('Lines of the access log that nobody took in time'),
  anyhop_l7_certificate_expiry_timestamp_seconds: gauge(
    'When the certificate expires, in seconds since 1970',
    'frontend',
    'file',
  ),
  anyhop_l7_frontend_sessions: gauge('Open sessions', 'frontend'),
  anyhop_l7_frontend_sessions_total: counter('Sessions', 'frontend'),
  anyhop_l7_frontend_requests_total: counter('Requests', 'frontend'),
  anyhop_l7_frontend_received_bytes_total: counter('Bytes from clients', 'frontend'),
  anyhop_l7_frontend_sent_bytes_total: counter('Bytes to clients', 'frontend'),
  anyhop_l7_frontend_responses_total: counter('Answers by the class of their status', 'frontend', 'code'),
  anyhop_l7_upstream_usable_servers: gauge('Servers that get requests of new clients', 'upstream'),
  anyhop_l7_upstream_panic: gauge('Whether too few servers are up, and all of them get requests', 'upstream'),
  anyhop_l7_upstream_queued_requests: gauge('Requests that wait for a server', 'upstream'),
  anyhop_l7_upstream_responses_total: counter('Answers by the class of their status', 'upstream', 'code'),
  anyhop_l7_server_up: gauge(
    'Whether the server is up by its checks; none for a server without checks',
    ...SERVER,
  ),
  anyhop_l7_server_draining: gauge('Whether the server is draining', ...SERVER),
  anyhop_l7_server_weight: gauge('Weight of the server, as the config or a command says', ...SERVER),
  anyhop_l7_server_sessions: gauge('Open sessions', ...SERVER),
  anyhop_l7_server_sessions_total: counter('Sessions', ...SERVER),
  anyhop_l7_server_queued_requests: gauge('Requests that wait for this server', ...SERVER),
  anyhop_l7_server_retries_total: counter('Requests that were sent again', ...SERVER),
  anyhop_l7_server_redispatches_total: counter('Requests that were sent to another server', ...SERVER),
  anyhop_l7_server_response_seconds: gauge(
    'Average time to the first byte, of the last 1024 requests',
    ...SERVER,
  ),
};
