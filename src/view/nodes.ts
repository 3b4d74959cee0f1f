/** Nodes: who answers, who is ready, what each does, and who differs from the others. */
import type { Difference } from './compare.js';
import { sum } from './gather.js';
import { tally } from './pools.js';
import { isStale, type Losses, type NodeSeen, type Source, since } from './seen.js';
import { type ActionRates, ratesByAction } from './verdicts.js';

/** From the best to the worst. `silent` answers no more, `unknown` never did. */
export const NODE_STATES = ['ready', 'not_ready', 'silent', 'unknown'] as const;
export type NodeState = (typeof NODE_STATES)[number];

export interface NodeRow {
  readonly label: string;
  /** Its own, once it has answered. */
  readonly name: string;
  readonly state: NodeState;
  /** Why it is not ready, or why it does not answer. */
  readonly reasons: readonly string[];
  /** Milliseconds since its last answer; absent when there never was one. All that follows is as of then. */
  readonly ageMs?: number | undefined;
  /** Absent when it never answered. */
  readonly detail?: NodeDetail | undefined;
}

export interface NodeDetail {
  readonly version: string;
  readonly engine: string;
  /** How the engine runs. */
  readonly mode: string;
  readonly interface: string;
  readonly pid: number;
  readonly upMs?: number | undefined;
  readonly generation: number;
  readonly packetsPerSecond: ActionRates;
  /** For services, as received. */
  readonly bytesPerSecond: number;
  /** As this node sees them, over all its pools. */
  readonly backends: { readonly up: number; readonly draining: number; readonly down: number };
  readonly changesWaiting: number;
  /** Packets that the engine never got to see, since it began; null when it cannot tell. */
  readonly missed: number | null;
  /** Packets that were not sent, since it began; null when it cannot tell. */
  readonly sendFailed: number | null;
  readonly losses: Losses;
  /** Message of the last attempt to read the config file, when that failed. */
  readonly refused?: string | undefined;
  readonly imageFailed?: string | undefined;
  readonly logLost?: number | undefined;
  readonly differences: readonly Difference[];
}

export function nodeRows(
  nodes: readonly NodeSeen[],
  sources: readonly Source[],
  differences: ReadonlyMap<string, readonly Difference[]>,
  now: number,
  staleAfterMs: number,
): NodeRow[] {
  const byLabel = new Map(sources.map((source) => [source.label, source]));
  return nodes.map((node) => {
    const { label, silence } = node;
    const source = byLabel.get(label);
    const silent = silence === undefined ? [] : [silence];
    if (source === undefined) return { label, name: label, state: 'unknown', reasons: silent };
    const { name, status, at } = source;
    const { ready, reasons } = status.readiness;
    const isSilent = isStale(node, now, staleAfterMs);
    return {
      label,
      name,
      state: isSilent ? 'silent' : ready ? 'ready' : 'not_ready',
      reasons: isSilent ? silent : reasons,
      ageMs: Math.max(0, now - at),
      detail: detailOf(source, differences.get(label) ?? [], now),
    };
  });
}

function detailOf({ status, losses }: Source, differs: readonly Difference[], now: number): NodeDetail {
  const backends = { up: 0, draining: 0, down: 0 };
  for (const pool of status.pools) {
    const { up, draining, down } = tally(pool);
    backends.up += up;
    backends.draining += draining;
    backends.down += down;
  }
  return {
    version: status.version,
    engine: status.engine.name,
    mode: status.engine.mode,
    interface: status.interface,
    pid: status.pid,
    upMs: since(status.startedAt, now),
    generation: status.image.generation,
    packetsPerSecond: ratesByAction(Object.entries(status.verdicts)),
    bytesPerSecond: sum(status.services).bytesPerSecond,
    backends,
    changesWaiting: status.pools.reduce((total, { change }) => total + change.queued.length, 0),
    missed: status.engine.counters.missed,
    sendFailed: status.engine.counters.sendFailed,
    losses,
    refused: status.config.refused?.message,
    imageFailed: status.image.failed,
    logLost: status.log?.lost,
    differences: differs,
  };
}
