/** Events of all nodes in one list. */
import type { NodeEvent } from '../api/api.js';
import type { NodeSeen } from './seen.js';

export interface EventRow extends NodeEvent {
  readonly node: string;
}

/** How many are kept, the newest. */
const EVENTS_SHOWN_MAX = 500;

/** The newest first; events of one node keep their order. */
export function eventRows(nodes: readonly NodeSeen[]): EventRow[] {
  const all = nodes.flatMap(({ label, answer, events = [] }) =>
    events
      .slice(-EVENTS_SHOWN_MAX)
      .map((event): EventRow => ({ ...event, node: answer?.status.node ?? label }))
      .toReversed(),
  );
  // ISO 8601 in UTC sorts as text.
  return all
    .toSorted((one, other) => (one.at < other.at ? 1 : one.at > other.at ? -1 : 0))
    .slice(0, EVENTS_SHOWN_MAX);
}
