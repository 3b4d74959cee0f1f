/**
 * Every family of metrics, with its meaning: what a process may answer, and nothing else. docs/reference/metrics.md is generated from
 * this list, and so are dashboards and alert rules.
 *
 * Never a label for each service and each backend at once, and never an address of a client: the number of series is bounded by what
 * the config names.
 */

/** The processes that answer, by the section of the config that makes them. */
export const PROCESSES = ['node', 'agent', 'l7', 'announce'] as const;
export type MetricsProcess = (typeof PROCESSES)[number];

export interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One sentence, without a full stop. */
  readonly help: string;
  readonly labels: readonly string[];
  readonly processes: readonly MetricsProcess[];
}

function family(
  processes: readonly MetricsProcess[],
  type: Family['type'],
  labels: readonly string[],
  help: string,
): Family {
  return { processes, type, labels, help };
}

const ALL = PROCESSES;
const NODE = ['node'] as const;
const BACKEND = ['pool', 'backend'];

const families = {
  anyhop_build_info: family(
    ALL,
    'gauge',
    ['version', 'nodejs'],
    'Version of anyhop and of Node.js; always 1',
  ),
  anyhop_config_last_reload_successful: family(
    ALL,
    'gauge',
    [],
    'Whether the config was in order when it was last read (1) or refused (0)',
  ),
  anyhop_config_last_reload_timestamp_seconds: family(
    ALL,
    'gauge',
    [],
    'When the config in force was read, in seconds since 1970',
  ),
  anyhop_log_lines_lost_total: family(ALL, 'counter', [], 'Lines that could not be written to the log'),
  anyhop_event_loop_active_seconds_total: family(
    ALL,
    'counter',
    [],
    'Time in which the main thread had work to do; it is overloaded when this rises by nearly a second each second',
  ),
  anyhop_event_loop_delay_seconds: family(
    ALL,
    'gauge',
    [],
    'How long the question for this answer waited for the main thread',
  ),
  anyhop_metrics_collect_seconds: family(
    ALL,
    'gauge',
    [],
    'How long collecting this answer took, with the time in which the main thread waited for others',
  ),
  process_cpu_seconds_total: family(
    ALL,
    'counter',
    [],
    'Processor time of all threads, in user and system mode',
  ),
  process_resident_memory_bytes: family(ALL, 'gauge', [], 'Memory of the process that is in RAM'),
  process_start_time_seconds: family(ALL, 'gauge', [], 'When the process started, in seconds since 1970'),
  process_open_fds: family(ALL, 'gauge', [], 'Open file descriptors'),
  process_max_fds: family(ALL, 'gauge', [], 'How many file descriptors may be open'),

  anyhop_ready: family(NODE, 'gauge', [], 'Whether the node is ready for traffic, as `anyhop ready` says'),
  anyhop_service_ready: family(
    NODE,
    'gauge',
    ['service'],
    'Whether what is sent to the service here reaches a backend',
  ),
  anyhop_node_info: family(
    NODE,
    'gauge',
    ['node', 'interface', 'key_fingerprint', 'flow_hash_version'],
    'Name and interface of the node, and what all nodes of a fleet must have in common; always 1',
  ),
  anyhop_engine_info: family(
    NODE,
    'gauge',
    ['engine', 'mode'],
    'The engine that forwards, and how; always 1',
  ),
  anyhop_engine_received_packets_total: family(
    NODE,
    'counter',
    [],
    'Frames that the engine took from the interface',
  ),
  anyhop_engine_sent_packets_total: family(NODE, 'counter', [], 'Packets that the engine sent'),
  anyhop_engine_send_failed_packets_total: family(
    NODE,
    'counter',
    [],
    'Packets that were to be sent, and that the kernel or the driver refused',
  ),
  anyhop_engine_missed_packets_total: family(
    NODE,
    'counter',
    [],
    'Packets for VIPs that were lost before the engine saw them, in a full ring or queue',
  ),
  anyhop_packets_total: family(NODE, 'counter', ['verdict'], 'Packets by their verdict'),
  anyhop_service_packets_total: family(NODE, 'counter', ['service'], 'Packets forwarded for the service'),
  anyhop_service_bytes_total: family(
    NODE,
    'counter',
    ['service'],
    'IP bytes, as received, forwarded for the service',
  ),
  anyhop_backend_packets_total: family(NODE, 'counter', BACKEND, 'Packets forwarded to the backend'),
  anyhop_backend_bytes_total: family(
    NODE,
    'counter',
    BACKEND,
    'IP bytes, as received, forwarded to the backend',
  ),
  anyhop_backend_up: family(
    NODE,
    'gauge',
    BACKEND,
    'Whether the backend is up by its checks and can be reached',
  ),
} satisfies Readonly<Record<string, Family>>;

export type FamilyName = keyof typeof families;

export const FAMILIES: Readonly<Record<FamilyName, Family>> = families;
