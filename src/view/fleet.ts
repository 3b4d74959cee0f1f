/** A fleet at one moment, as `anyhop top` and the dashboard show it: plain data out of the last answers of its nodes. */
import { type BackendRow, backendRows } from './backends.js';
import { differences } from './compare.js';
import { type DefenceRows, defenceRows } from './defence.js';
import { type EventRow, eventRows } from './events.js';
import { type NodeRow, nodeRows } from './nodes.js';
import { type PoolRow, poolRows } from './pools.js';
import { answered, counted, type NodeSeen, STALE_AFTER_MS_DEFAULT } from './seen.js';
import { type ServiceRow, serviceRows } from './services.js';
import { type Level, type Trouble, troublesOf } from './troubles.js';
import { type ActionRates, ratesByAction, type VerdictRow, verdictRows } from './verdicts.js';

export interface FleetView {
  /** Milliseconds since 1970: the moment that ages are counted to. */
  readonly at: number;
  readonly summary: Summary;
  /** The worst first. */
  readonly troubles: readonly Trouble[];
  /** In the order given, as everything is that nodes say in some order. */
  readonly nodes: readonly NodeRow[];
  readonly services: readonly ServiceRow[];
  readonly pools: readonly PoolRow[];
  readonly backends: readonly BackendRow[];
  readonly verdicts: readonly VerdictRow[];
  readonly defence: DefenceRows;
  /** The newest first. */
  readonly events: readonly EventRow[];
}

export interface Summary {
  /** Of the worst trouble that is more than a note. */
  readonly level: 'ok' | Exclude<Level, 'note'>;
  readonly nodes: { readonly total: number; readonly answering: number; readonly ready: number };
  /** No node answers: all of the view is as it was so many milliseconds ago, or empty when none ever did. Absent while one answers. */
  readonly staleMs?: number | undefined;
  readonly packetsPerSecond: ActionRates;
  /** For services, as received. */
  readonly bytesPerSecond: number;
  readonly services: { readonly total: number; readonly ready: number };
  readonly backends: PoolRow['backends'];
  readonly changesWaiting: number;
}

export interface ViewOptions {
  readonly staleAfterMs?: number;
}

/** @param now milliseconds since 1970 */
export function fleetView(
  nodes: readonly NodeSeen[],
  now: number,
  { staleAfterMs = STALE_AFTER_MS_DEFAULT }: ViewOptions = {},
): FleetView {
  const sources = answered(nodes, now, staleAfterMs);
  const live = sources.filter((source) => !source.isStale);
  const used = counted(sources);
  const backends = backendRows(used, now);
  const rows = {
    nodes: nodeRows(nodes, sources, differences(live), now, staleAfterMs),
    services: serviceRows(used),
    pools: poolRows(used, backends, now),
    backends,
    verdicts: verdictRows(used),
    defence: defenceRows(used, now),
  };
  const packetsPerSecond = ratesByAction(rows.verdicts.map((row) => [row.name, row] as const));
  const troubles = troublesOf(rows, packetsPerSecond);
  const worst = troubles[0]?.level ?? 'note';
  return {
    at: now,
    summary: {
      level: worst === 'note' ? 'ok' : worst,
      nodes: {
        total: nodes.length,
        answering: live.length,
        ready: rows.nodes.filter(({ state }) => state === 'ready').length,
      },
      ...(live.length === 0 && { staleMs: now - used.reduce((latest, { at }) => Math.max(latest, at), 0) }),
      packetsPerSecond,
      bytesPerSecond: rows.services.reduce((total, row) => total + row.bytesPerSecond, 0),
      services: { total: rows.services.length, ready: rows.services.filter(({ ready }) => ready).length },
      backends: rows.pools.reduce(
        (total, { backends: { total: all, up, draining, down } }) => ({
          total: total.total + all,
          up: total.up + up,
          draining: total.draining + draining,
          down: total.down + down,
        }),
        { total: 0, up: 0, draining: 0, down: 0 },
      ),
      changesWaiting: rows.pools.reduce((total, { queued }) => total + queued.length, 0),
    },
    troubles,
    ...rows,
    events: eventRows(nodes),
  };
}
