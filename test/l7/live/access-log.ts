/** The proxy's own record of requests. */
import { readFileSync } from 'node:fs';
import type { ProxyHost } from '../run-fixture.js';

/** Some of its fields. */
export interface LogEntry {
  readonly id: string;
  readonly client: string;
  readonly method: string;
  readonly path: string;
  readonly version: string;
  readonly server: string;
  readonly status: number;
  readonly queue_ms: number;
}

/** Requests that have ended so far. */
export function logEntries(host: ProxyHost): LogEntry[] {
  const lines = readFileSync(host.accessLog, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line)).filter(({ id }) => id !== undefined);
}
