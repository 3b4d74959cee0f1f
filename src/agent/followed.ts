/** Whether all forwarders have followed a host's wish to be drained, as far as its agent can know. Pure. */
import { FORWARDER_INTERVALS_HEARD } from '../core/limits.js';
import type { AgentReport } from './report.js';

/**
 * Whether every forwarder drains this backend, whoever asked for it. An agent knows only forwarders that ask it. So this is false while the
 * agent has not run for long enough to hear each of them, and while it hears none. A forwarder whose process does not run is not
 * known, although its program in the kernel may still forward.
 * @param now by the clock of the agent's host
 */
export function doAllDrain(
  { startedAt, forwarders }: Pick<AgentReport, 'startedAt' | 'forwarders'>,
  now: number = Date.now(),
): boolean {
  if (forwarders.length === 0) return false;
  const longestMs = forwarders.reduce((most, { everyMs }) => Math.max(most, everyMs), 0);
  const runsForMs = now - Date.parse(startedAt);
  return (
    runsForMs >= FORWARDER_INTERVALS_HEARD * longestMs && forwarders.every((forwarder) => forwarder.draining)
  );
}

/** The same, since the host asks for it. */
export function haveAllFollowed(report: AgentReport, now: number = Date.now()): boolean {
  return report.draining && doAllDrain(report, now);
}
