/** The siblings of a node in a fleet, as it asks them for their revision: at their dashboards, as these ask one another. */
import { Agent } from 'node:https';
import { credentialsOf } from '../config/metrics/types.js';
import type { NodeConfig } from '../config/types.js';
import { siblingRevision } from '../dashboard/asked-node.js';
import type { AskedSibling } from '../fleet/siblings.js';

export function askedSiblings({
  metrics,
  siblings,
}: Pick<NodeConfig, 'metrics' | 'siblings'>): AskedSibling[] {
  if (metrics === undefined) return [];
  const own = credentialsOf(metrics);
  const agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: IDLE_MS });
  return siblings.map(({ name, address: { address, port } }) => ({
    name,
    ask: siblingRevision({ name, host: address.text, port }, own, agent),
  }));
}

/** Of a connection to a sibling that nobody asks any more. */
const IDLE_MS = 10_000;
