/** What a worker can tell of its process without asking the main thread. */
import { readdirSync, readFileSync } from 'node:fs';
import { VERSION } from '../core/version.js';
import { info, type MetricTable, single } from '../metrics/table.js';
import type { Sample } from './samples.js';

const MICROSECONDS = 1e6;
const MILLISECONDS = 1e3;
const LIMIT = /^Max open files\s+(\d+)/m;
/** In a worker too, `uptime` is that of the process. */
const STARTED_SECONDS = Date.now() / MILLISECONDS - process.uptime();

/** Of all threads: processor time and memory are the process's, whoever asks. */
export function ownProcess(sample: Sample): MetricTable[] {
  const { user, system } = process.cpuUsage();
  return [
    info('anyhop_build_info', [[VERSION, process.versions.node]]),
    single({
      process_cpu_seconds_total: (user + system) / MICROSECONDS,
      process_resident_memory_bytes: process.memoryUsage.rss(),
      process_start_time_seconds: STARTED_SECONDS,
      process_open_fds: openDescriptors(),
      process_max_fds: descriptorLimit(),
      anyhop_log_lines_lost_total: sample.logLinesLost,
      anyhop_event_loop_active_seconds_total: sample.activeMs / MILLISECONDS,
      anyhop_event_loop_delay_seconds: sample.delayMs / MILLISECONDS,
      anyhop_metrics_collect_seconds: sample.collectMs / MILLISECONDS,
    }),
  ];
}

/** Undefined where /proc is not mounted. */
function openDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1; // without that of the directory
  } catch {
    return undefined;
  }
}

function descriptorLimit(): number | undefined {
  try {
    const [, limit] = LIMIT.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
