/**
 * What somebody who watches a fleet has of it: for each node its last answer and when that came, or why there is none. From this
 * alone everything in this folder is computed, by the terminal and by the browser, so that both say the same.
 *
 * A node that does not answer stays in the picture and is marked, because its last answer is the best that is known. It no longer
 * counts in sums while another node answers: what it forwarded a minute ago says nothing about now.
 */
import type { NodeEvent } from '../api/api.js';
import type { NodeStatus } from '../api/status.js';
import { lossRate, rated } from './rates.js';

export interface Answer {
  /** Milliseconds since 1970 by the watcher's clock: when it came. */
  readonly at: number;
  readonly status: NodeStatus;
}

export interface NodeSeen {
  /** What the watcher calls it, unique among the nodes; shown until its first answer tells its own name. */
  readonly label: string;
  /** The last one. */
  readonly answer?: Answer | undefined;
  /** An older one, for rates where the node tells none. */
  readonly before?: Answer | undefined;
  /** The oldest first. */
  readonly events?: readonly NodeEvent[] | undefined;
  /** Why the latest question has no answer; absent while it answers. */
  readonly silence?: string | undefined;
}

/** A node as the rest of this folder reads it. */
export interface Source {
  readonly label: string;
  readonly name: string;
  readonly at: number;
  readonly isStale: boolean;
  readonly status: NodeStatus;
  readonly losses: Losses;
}

/** Packets a second that no verdict tells; undefined when two answers are not there, or the engine cannot tell. */
export interface Losses {
  /** The engine never got to see them: a full ring. */
  readonly missed: number | undefined;
  /** The kernel or the driver refused to send them. */
  readonly sendFailed: number | undefined;
}

/** How old the last answer of a node may be until it counts as stale. */
export const STALE_AFTER_MS_DEFAULT = 3_000;

export function isStale(node: NodeSeen, now: number, staleAfterMs: number): boolean {
  return node.silence !== undefined || node.answer === undefined || now - node.answer.at > staleAfterMs;
}

/** Those that ever answered, in the order given. */
export function answered(nodes: readonly NodeSeen[], now: number, staleAfterMs: number): Source[] {
  return nodes.flatMap((node) => {
    const { label, answer, before } = node;
    if (answer === undefined) return [];
    const status = rated(answer, before);
    const losses = {
      missed: lossRate(answer, before, 'missed'),
      sendFailed: lossRate(answer, before, 'sendFailed'),
    };
    return [
      { label, name: status.node, at: answer.at, isStale: isStale(node, now, staleAfterMs), status, losses },
    ];
  });
}

/** Those that the sums are made of: all that answer, or, while none does, all that did. */
export function counted(sources: readonly Source[]): readonly Source[] {
  const live = sources.filter((source) => !source.isStale);
  return live.length > 0 ? live : sources;
}

/** Milliseconds from a moment that a node tells; 0 for one that its clock puts ahead of ours, undefined for no moment. */
export function since(iso: string | undefined, now: number): number | undefined {
  const at = Date.parse(iso ?? '');
  return Number.isNaN(at) ? undefined : Math.max(0, now - at);
}
