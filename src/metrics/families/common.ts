/** Metrics of every process: its version, its config, its threads and memory; and those of sources, which several processes may ask. */
import { counter, gauge } from '../family.js';
import { UPSTREAM_SOURCE_FAMILIES } from './discovery.js';

export const COMMON_FAMILIES = {
  anyhop_build_info: gauge('Version of anyhop and of Node.js; always 1', 'version', 'nodejs'),
  anyhop_config_last_reload_successful: gauge(
    'Whether the config was in order (1) or refused (0) when it was last read',
  ),
  anyhop_config_last_reload_timestamp_seconds: gauge(
    'When the config in force was read, in seconds since 1970',
  ),
  anyhop_log_lines_lost_total: counter('Lines that could not be written to the log'),
  anyhop_event_loop_active_seconds_total: counter(
    'Time in which the main thread had work to do: nearly a second each second is too much',
  ),
  anyhop_event_loop_delay_seconds: gauge('How long the question for this answer waited for the main thread'),
  anyhop_metrics_collect_seconds: gauge(
    'How long the main thread, and those whom it asks, took for this answer',
  ),
  ...UPSTREAM_SOURCE_FAMILIES,
  process_cpu_seconds_total: counter('Processor time of all threads, in user and system mode'),
  process_resident_memory_bytes: gauge('Memory of the process that is in RAM'),
  process_start_time_seconds: gauge('When the process started, in seconds since 1970'),
  process_open_fds: gauge('Open file descriptors'),
  process_max_fds: gauge('How many file descriptors may be open'),
};
