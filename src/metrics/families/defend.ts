/** Metrics of a node's defence against floods. */
import { counter, gauge } from '../family.js';

export const DEFEND_FAMILIES = {
  anyhop_defend_packets_total: counter(
    'Packets that a rule of a service dropped or answered (effect did), or would have in observe mode (effect would)',
    'service',
    'rule',
    'effect',
  ),
  anyhop_defend_syns_total: counter(
    'TCP connection attempts that lists and source_rate let through to the service',
    'service',
  ),
  anyhop_defend_allowed_packets_total: counter('Packets from sources on the list allow', 'service'),
  anyhop_defend_norm_syns_per_second: gauge(
    'TCP connection attempts a second that were usual in the last ten minutes',
    'service',
  ),
  anyhop_defend_threshold_syns_per_second: gauge(
    'TCP connection attempts a second above which syn_cookies: auto answers with cookies',
    'service',
  ),
  anyhop_defend_cookies_active: gauge(
    'Whether SYNs are answered with cookies now, or would be in observe mode',
    'service',
  ),
  anyhop_defend_attack: gauge(
    'Whether the service is under attack, by the kind of attack',
    'service',
    'kind',
  ),
  anyhop_defend_list_prefixes: gauge(
    'Prefixes on the lists allow and block, from the config and its files',
    'list',
    'family',
  ),
  anyhop_defend_list_file_prefixes: gauge('Prefixes of a file in force', 'list', 'file'),
  anyhop_defend_list_file_loaded_timestamp_seconds: gauge(
    'When what is in force of a file was read, in seconds since 1970',
    'list',
    'file',
  ),
  anyhop_defend_list_file_problem: gauge(
    'Whether a file could not be read anew, so that what was read before is in force, or nothing of it',
    'list',
    'file',
  ),
  anyhop_defend_lists_failed: gauge(
    'Whether lists could not be compiled or put in force, so that the former ones are',
  ),
  anyhop_defend_runtime_prefixes: gauge('Prefixes that were blocked or allowed at runtime', 'list'),
  anyhop_defend_lists_bytes: gauge('Size of the compiled lists in force'),
  anyhop_defend_backend_takes_cookies: gauge(
    'Whether the agent of a backend takes SYN cookies of this node; of pools whose services use cookies',
    'pool',
    'backend',
  ),
};
