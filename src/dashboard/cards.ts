/**
 * From the view of a fleet to the values of the board (wire.ts). Pure. Every text that came from elsewhere (reasons of checks, messages of
 * agents, names that siblings tell) becomes one safe line here.
 */
import { printable } from '../core/printable.js';
import type { BackendRow } from '../view/backends.js';
import type { EventRow } from '../view/events.js';
import type { FleetView } from '../view/fleet.js';
import type { NodeRow } from '../view/nodes.js';
import type { PoolRow } from '../view/pools.js';
import type { NodeSeen } from '../view/seen.js';
import type { ServiceRow } from '../view/services.js';
import type { VerdictRow } from '../view/verdicts.js';
import type {
  BackendCard,
  HereCard,
  NodeCard,
  PoolCard,
  ServiceCard,
  SummaryCard,
  TroubleCard,
  VerdictCard,
} from './wire.js';

/** A screen holds no more; how many there are beyond is told. */
const TROUBLES_MAX = 20;
const TEXT_CHARS_MAX = 600;

/** @param seen what the view was made of; of this node first */
export function cardsOf(view: FleetView, seen: readonly NodeSeen[], node: string): Map<string, unknown> {
  const { at, summary, troubles, nodes, services, pools, backends, verdicts, events } = view;
  const cards = new Map<string, unknown>();
  const here: HereCard = {
    node,
    nodes: nodes.map(({ label }) => label),
    services: services.map(({ name }) => name),
    pools: pools.map(({ name }) => name),
  };
  const told = troubles.slice(0, TROUBLES_MAX);
  cards.set('here', here);
  cards.set('summary', { ...summary, more: troubles.length - told.length } satisfies SummaryCard);
  cards.set(
    'troubles',
    told.map(({ level, kind, text }): TroubleCard => ({ level, kind, text: safe(text) })),
  );
  for (const row of nodes) cards.set(`node/${row.label}`, nodeCard(row, at));
  for (const row of services) cards.set(`service/${row.name}`, serviceCard(row));
  cards.set('rates/services', services.flatMap(rates));
  const members = new Map<string, BackendRow[]>(pools.map(({ name }) => [name, []]));
  for (const row of backends) {
    members.get(row.pool)?.push(row);
    cards.set(`backend/${row.pool}/${row.name}`, backendCard(row, at));
  }
  for (const row of pools) {
    const own = members.get(row.name)!;
    cards.set(`pool/${row.name}`, poolCard(row, own));
    cards.set(`rates/pool/${row.name}`, own.flatMap(backendRates));
  }
  cards.set(
    'verdicts',
    verdicts.map((row) => verdictCard(row, seen)),
  );
  for (const [key, card] of eventCards(events)) cards.set(key, card);
  return cards;
}

function nodeCard({ label, name, state, reasons, ageMs, detail }: NodeRow, at: number): NodeCard {
  const { upMs, ...rest } = detail ?? {};
  return {
    label,
    name: safe(name),
    state,
    reasons: reasons.map(safe),
    ...(state === 'silent' && { heardAt: before(ageMs, at) }),
    ...(detail && {
      detail: {
        ...(rest as Omit<typeof detail, 'upMs'>),
        version: safe(detail.version),
        engine: safe(detail.engine),
        mode: safe(detail.mode),
        interface: safe(detail.interface),
        bytesPerSecond: Math.round(detail.bytesPerSecond),
        startedAt: before(upMs, at),
        refused: detail.refused && safe(detail.refused),
        imageFailed: detail.imageFailed && safe(detail.imageFailed),
      },
    }),
  };
}

function serviceCard({ packets, bytes, packetsPerSecond, bytesPerSecond, ...row }: ServiceRow): ServiceCard {
  const notReadyOn = row.notReadyOn.map(({ node, reason }) => ({ node: safe(node), reason: safe(reason) }));
  return { ...row, name: safe(row.name), vip: safe(row.vip), notReadyOn };
}

function poolCard({ name: _, queued, ...row }: PoolRow, members: readonly BackendRow[]): PoolCard {
  return {
    ...row,
    queued: queued.map((one) => ({ ...one, changes: one.changes.map(safe) })),
    members: members.map(({ name }) => name),
  };
}

function verdictCard(row: VerdictRow, seen: readonly NodeSeen[]): VerdictCard {
  const { name, action, packetsPerSecond } = row;
  const on = seen.flatMap(({ answer, silence }) => {
    const rate = answer?.status.verdicts[name]?.packetsPerSecond ?? 0;
    if (action !== 'drop' || rate === 0 || silence !== undefined) return [];
    return [{ node: safe(answer!.status.node), packetsPerSecond: Math.round(rate) }];
  });
  on.sort((one, other) => other.packetsPerSecond - one.packetsPerSecond);
  return { ...row, name: safe(name), packetsPerSecond: Math.round(packetsPerSecond), on };
}

function backendCard(row: BackendRow, at: number): BackendCard {
  const { address, weight, state, isDraining, downOn, nodes, slots, drain, agent, reason, sinceMs } = row;
  return {
    address: safe(address),
    weight,
    state,
    isDraining,
    downOn: downOn.map(safe),
    nodes,
    slots,
    ...(drain && {
      drain: { ...drain, ...(drain.unknown !== undefined && { unknown: safe(drain.unknown) }) },
    }),
    ...(reason !== undefined && { reason: safe(reason) }),
    since: before(sinceMs, at),
    ...(agent?.reachable === false && { agentSilent: safe(agent.why ?? 'no answer') }),
  };
}

function eventCards(events: readonly EventRow[]): Map<string, EventRow> {
  const cards = new Map<string, EventRow>();
  const count = new Map<string, number>();
  for (const { at, node, level, event, message } of events) {
    const place = `${at}/${node}`;
    const number = count.get(place) ?? 0;
    count.set(place, number + 1);
    const card = { at: safe(at), node: safe(node), level, event: safe(event), message: safe(message) };
    cards.set(`event/${place}/${number}`, card);
  }
  return cards;
}

/** Packets and bytes a second. */
function rates({ packetsPerSecond, bytesPerSecond }: ServiceRow | BackendRow): number[] {
  return [Math.round(packetsPerSecond), Math.round(bytesPerSecond)];
}

function backendRates(row: BackendRow): number[] {
  return [...rates(row), row.drain?.connections ?? row.agent?.connections ?? -1];
}

/** The moment of an age, in whole seconds, so that it stays what it is. */
function before(ageMs: number | undefined, at: number): number | undefined {
  return ageMs === undefined ? undefined : Math.round((at - ageMs) / 1000) * 1000;
}

function safe(text: string): string {
  return printable(text, TEXT_CHARS_MAX);
}
