/** The counters of an interface and its driver (native/lib/statistics.c), without starting a process. */
import { anyhopLibrary } from './library.js';

/** Room for 1,000 counters. */
const TEXT_BYTES_MAX = 64 * 1024;

/**
 * Lines `NAME: COUNT`: `missed` (rx_missed_errors), and the driver's counters (`ethtool -S`) with `part` in their names. Unknown ones are
 * left out: the text is empty for an interface that is gone. Looks at the network namespace of this process.
 * @throws AnyhopError ERR_NATIVE when this process can open no socket
 */
export function readInterfaceCounters(name: string, part: string): string {
  const out = Buffer.alloc(TEXT_BYTES_MAX);
  const length = anyhopLibrary.call('ERR_NATIVE', 'anyhop_interface_counters', name, part, out, out.length);
  return out.toString('latin1', 0, length);
}
