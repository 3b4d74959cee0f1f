/** Where the tier's own files are in its run directory; HAProxy's are in haproxy/generations.ts. */
import { join } from 'node:path';

/** Where `anyhop l7 run` answers. */
export function controlSocket(runDirectory: string): string {
  return join(runDirectory, 'control.sock');
}

/** What was said of servers at runtime. */
export function stateFile(runDirectory: string): string {
  return join(runDirectory, 'state.json');
}
