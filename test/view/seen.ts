/** Nodes as somebody who watches has seen them, for tests of src/view. */
import type { NodeStatus } from '#anyhop/api/status.js';
import type { NodeSeen } from '#anyhop/view/seen.js';
import { nodeStatus } from '../node/node-status.js';

/** The moment at which tests look: five minutes after the fixtures' nodes started. */
export const NOW = Date.parse('2024-05-01T12:05:00.000Z');

export function seen(name: string, change: Partial<NodeStatus> = {}, more: Partial<NodeSeen> = {}): NodeSeen {
  return { label: name, answer: { at: NOW - 500, status: nodeStatus({ node: name, ...change }) }, ...more };
}

/** It answered `ageMs` ago, and does not any more. */
export function silent(name: string, ageMs: number, change: Partial<NodeStatus> = {}): NodeSeen {
  const status = nodeStatus({ node: name, ...change });
  return { label: name, answer: { at: NOW - ageMs, status }, silence: 'connection refused' };
}
