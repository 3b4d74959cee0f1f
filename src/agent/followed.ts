/** Whether all forwarders have followed a host's wish to be drained, as far as its agent can know. Pure. */
import { FORWARDER_INTERVALS_HEARD } from '../core/limits.js';
import type { AgentReport } from './report.js';

/**
 * An agent knows only forwarders that ask it. So this is false while the agent has not run for long enough to hear each of them, and while
 * it hears none. A forwarder whose process does not run is not known, although its program in the kernel may still forward.
 * @param now by the clock of the agent's host
 */
export function haveAllFollowed(
  { startedAt, draining, forwarders }: AgentReport,
  now: number = Date.now(),
): boolean {
  if (!draining || forwarders.length === 0) return false;
  const longestMs = forwarders.reduce((most, { everyMs }) => Math.max(most, everyMs), 0);
  const runsForMs = now - Date.parse(startedAt);
  return (
    runsForMs >= FORWARDER_INTERVALS_HEARD * longestMs && forwarders.every((forwarder) => forwarder.draining)
  );
}
