/** A node's status as text: problems stand out, and numbers are short. */

import type { EventsReport } from '../api/api.js';
import type {
  BackendStatus,
  ConfigFileStatus,
  DiscoveryStatus,
  FleetStatus,
  NodeStatus,
  OverrideStatus,
  PoolStatus,
  Readiness,
  ServiceStatus,
} from '../api/status.js';
import { amount, lasting, short } from '../core/figures.js';
import { STATES_REMEMBERED_MAX } from '../core/limits.js';
import { printable } from '../core/printable.js';
import { clockTime } from '../core/time.js';
import { drawAgent, drawAgents } from './agents-text.js';
import { drawChecks } from './check-text.js';
import { drawDefence } from './defence-text.js';
import { drainOf, drawDrain } from './drain-progress.js';
import { columns, labelled, someOf } from './format.js';
import { withoutUp } from './status-filter.js';

const RIGHT = new Set(['SLOTS', 'PACKETS', 'PACKETS/S', 'BITS/S', 'WEIGHT']);

/** @param onlyDown leaves out backends that are up, and pools whose backends are all up */
export function drawStatus(status: NodeStatus, now = new Date(), onlyDown = false): string {
  const { engine, image, readiness, overrides } = status;
  const shown = onlyDown ? withoutUp(status).pools : status.pools;
  const whole = new Map(status.pools.map((pool) => [pool.name, pool]));
  const pools = shown.flatMap((pool) => [
    '',
    ...drawPool(whole.get(pool.name)!, pool.backends, status.version, now),
    ...overrides.filter((one) => one.pool === pool.name).map((one) => drawOverride(one, now)),
  ]);
  return `${labelled(
    [
      ['node', `${status.node} on ${status.interface}, anyhop ${status.version}, process ${status.pid}`],
      ['since', clockTime(status.startedAt, now)],
      ['ready', readiness.ready ? 'yes' : `NO: ${readiness.reasons.join('; ')}`],
      ...(readiness.ready ? notReady(readiness.services) : []).map((line) => ['NOT READY', line] as const),
      ...drawConfigFile(status.config, now),
      ...drawFleet(status.fleet, now),
      ['key', drawKeys(status, now)],
      ...drawDiscovery(status.discovery ?? [], now),
      ...(status.log === undefined
        ? []
        : [['LOG', `${status.log.lost} lines could not be written: ${status.log.why}`] as const]),
      ['engine', `${engine.name}: ${engine.mode} (${engine.reason})`],
      [
        'image',
        `generation ${image.generation}, ${short(image.bytes)}B, digest ${image.digest.slice(0, 16)}, flow hash version ${status.flowHashVersion}`,
      ],
      ...(image.failed === undefined
        ? []
        : [['NOT IN FORCE', `the next image cannot be published: ${image.failed}`] as const]),
      ['packets', drawEngineCounters(engine.counters)],
      ...drawDefence(status.defend, now),
      ...drawPathReports(status.pathReports),
    ],
    '',
  )}\n${[
    ...columns(
      ['SERVICE', 'VIP', 'PORTS', 'POOL', 'PACKETS', 'PACKETS/S', 'BITS/S'],
      status.services.map((service) => [
        service.name,
        service.vip,
        `${service.protocol} ${drawPorts(service)}`,
        service.pool,
        ...drawTraffic(service),
      ]),
      RIGHT,
    ),
    ...pools,
    '',
    ...columns(
      ['VERDICT', 'PACKETS', 'PACKETS/S'],
      Object.entries(status.verdicts).map(([name, { packets, packetsPerSecond }]) => [
        name,
        String(packets),
        short(packetsPerSecond),
      ]),
      RIGHT,
    ),
  ].join('\n')}\n`;
}

/** Fingerprints of the secrets that flows are hashed with, and for how long with a former one. */
function drawKeys({ keyFingerprint, pools }: NodeStatus, now: Date): string {
  const untilOf = new Map<string, string>();
  for (const { change } of pools) {
    if (change.formerKey === undefined) continue;
    const { id, until } = change.formerKey;
    if (until > (untilOf.get(id) ?? '')) untilOf.set(id, until);
  }
  const former = [...untilOf].map(([id, until]) => {
    const left = lasting(Date.parse(until) - now.getTime());
    return `; ${id} for connections of before, until ${clockTime(until, now)} at the latest (${left} more)`;
  });
  return [keyFingerprint, ...former].join('');
}

/** One line per pool whose services are not ready: they have the same reason. */
export function notReady(services: Readiness['services']): string[] {
  const byReason = new Map<string, string[]>();
  for (const { name, reason } of services)
    if (reason !== undefined) byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
  return [...byReason].map(
    ([reason, names]) => `${names.length === 1 ? 'service' : 'services'} ${someOf(names)}: ${reason}`,
  );
}

function drawConfigFile({ file, loadedAt, refused }: ConfigFileStatus, now: Date): [string, string][] {
  const rows: [string, string][] = [['config', `${file}, read at ${clockTime(loadedAt, now)}`]];
  if (refused !== undefined) {
    const [first, ...more] = refused.message.split('\n');
    rows.push(['REFUSED', `at ${clockTime(refused.at, now)}: ${first}`]);
    if (more.length > 0)
      rows.push(['', `and ${amount(more.length, 'line')} more: "anyhop check -c ${file}" has all`]);
  }
  return rows;
}

function drawFleet(fleet: FleetStatus | undefined, now: Date): [string, string][] {
  if (fleet === undefined) return [];
  const { name, revision, revisionOfFleet, prepared, behind, store } = fleet;
  const here = revision === 0 ? 'no revision in force yet' : `revision ${revision}`;
  const forgotten =
    revisionOfFleet !== null && revisionOfFleet < revision ? `, the store has ${revisionOfFleet}` : '';
  const coming = prepared === undefined ? '' : `, revision ${prepared} is ready to come`;
  const rows: [string, string][] = [['fleet', `${name}, ${here}${forgotten}${coming}`]];
  if (behind !== undefined) rows.push(['BEHIND', behind]);
  if (store.fault !== undefined)
    rows.push(['STORE AWAY', `since ${clockTime(store.fault.since, now)}: ${store.fault.why}`]);
  return rows;
}

/** One line a source, and one for what is wrong with its answer, or what a change waits for. */
export function drawDiscovery(sources: readonly DiscoveryStatus[], now: Date): [string, string][] {
  return sources.flatMap((one): [string, string][] => {
    const { pool, upstream, source, answeredAt, backends, servers, alarm, waits } = one;
    const named = upstream === undefined ? amount(backends ?? 0, 'backend') : amount(servers ?? 0, 'server');
    const answer = answeredAt === null ? 'no answer yet' : `${named} at ${clockTime(answeredAt, now)}`;
    const filled = upstream === undefined ? `pool ${pool}` : `upstream ${upstream}`;
    return [
      ['source', `${filled}, ${printable(source)}: ${answer}`],
      ...(alarm === undefined
        ? []
        : [['NOT FOLLOWED', `since ${clockTime(alarm.since, now)}: ${alarm.text}`] as [string, string]]),
      ...(waits === undefined ? [] : [['', `a change waits: ${waits.join('; ')}`] as [string, string]]),
    ];
  });
}

function drawPool(pool: PoolStatus, backends: PoolStatus['backends'], version: string, now: Date): string[] {
  const up = pool.backends.filter(({ health }) => health === 'up').length;
  const need = pool.mode === 'normal' ? '' : `, mode ${pool.mode.replace('_', ' ')}`;
  const { settlesAt, forgottenUntil, waitsFor, queued } = pool.change;
  return [
    `pool ${pool.name}: ${up} of ${amount(pool.backends.length, 'backend')} up${need}, ` +
      `owners ${pool.digests.owners.slice(0, 16)}, alternates ${pool.digests.alternates.slice(0, 16)}`,
    ...columns(
      [
        'BACKEND',
        'ADDRESS',
        'WEIGHT',
        'STATE',
        'SLOTS',
        'AGENT',
        'CHECK',
        'NEXT HOP',
        'PACKETS',
        'PACKETS/S',
        'BITS/S',
      ],
      backends.map((backend) => [
        backend.name,
        backend.address,
        String(backend.weight),
        backend.health === 'up' ? backend.state : `${backend.state}, ${backend.health.toUpperCase()}`,
        String(backend.slots),
        drawAgent(backend.agent),
        drawChecks(backend.checks, now),
        drawNextHop(backend.nextHop),
        ...drawTraffic(backend),
      ]),
      RIGHT,
    ),
    ...drawAgents(backends, version),
    ...backends.flatMap(({ name, health, healthReason, healthSince }) =>
      healthReason === undefined
        ? []
        : `${name} is ${health} since ${clockTime(healthSince, now)}: ${printable(healthReason)}`,
    ),
    ...backends.flatMap(({ name, nextHop }) => drawPath(name, nextHop, now)),
    ...backends.flatMap(({ name, drain }) =>
      drain === undefined ? [] : drawDrain(drainOf(pool.name, name, drain), now),
    ),
    ...(forgottenUntil === undefined
      ? []
      : [
          `more states than ${STATES_REMEMBERED_MAX} in a settle time: some until ${clockTime(forgottenUntil, now)} are forgotten`,
        ]),
    ...(settlesAt === undefined ? [] : [`the last change settles at ${clockTime(settlesAt, now)}`]),
    ...queued.map(({ id, dueAt, changes }, i) => {
      const drains =
        waitsFor === undefined || i > 0 ? '' : ` at the latest, for ${someOf(waitsFor)} to be drained`;
      return `${id} waits until ${clockTime(dueAt, now)}${drains}: ${changes.join('; ')}`;
    }),
  ];
}

/** Oldest first. */
export function drawEvents({ since, events }: EventsReport, now = new Date()): string {
  const head = `events since ${clockTime(since, now)}${events.length === 0 ? ': none' : ''}`;
  const lines = events.map(
    ({ at, level, message }) =>
      `${clockTime(at, now)}  ${level.padEnd(5)}  ${message.replaceAll('\n', '\n                 ')}`,
  );
  return `${[head, ...lines].join('\n')}\n`;
}

function drawOverride({ pool, backend, state, weight, member, since }: OverrideStatus, now: Date): string {
  if (member !== undefined) return `${pool}/${backend}: ${member} at runtime, at ${clockTime(since, now)}`;
  const what = [
    ...(state === undefined ? [] : [`state ${state}`]),
    ...(weight === undefined ? [] : [`weight ${weight}`]),
  ];
  return `${pool}/${backend}: ${what.join(' and ')} set at runtime, at ${clockTime(since, now)}`;
}

function drawNextHop(hop: BackendStatus['nextHop']): string {
  if ('missing' in hop) return `none: ${hop.missing}`;
  const tag = hop.vlan === undefined ? '' : ` vlan ${hop.vlan}`;
  return `${hop.mac} ${hop.interface}${tag} mtu ${hop.mtu}`;
}

/** Backends whose path takes less than the route says, or than IPv6 needs. */
function drawPath(name: string, hop: BackendStatus['nextHop'], now: Date): string[] {
  if ('missing' in hop) return [];
  const { mtu, learned, ipv6Needs } = hop;
  return [
    ...(learned === undefined
      ? []
      : [
          `the path to ${name} carries ${mtu} bytes instead of ${learned.routeMtu}, according to router ${learned.router}: ` +
            `believed until ${clockTime(learned.until, now)}`,
        ]),
    ...(ipv6Needs === undefined
      ? []
      : [`the path to ${name} is TOO NARROW for IPv6: its MTU must be ${ipv6Needs} or more`]),
  ];
}

function drawPathReports(counts: NodeStatus['pathReports']): [string, string][] {
  const words = {
    raised: 'with an MTU too small to believe',
    withoutSize: 'without an MTU',
    unrelated: 'about packets not sent from here',
    lost: 'not read',
  } as const;
  const said = Object.entries(words).flatMap(([name, word]) => {
    const count = counts[name as keyof typeof words];
    return count === 0 ? [] : `${count} ${word}`;
  });
  return said.length === 0 ? [] : [['routers', `said "too big" ${said.join(', ')}`]];
}

function drawTraffic(of: Pick<ServiceStatus, 'packets' | 'packetsPerSecond' | 'bytesPerSecond'>): string[] {
  return [String(of.packets), short(of.packetsPerSecond), short(of.bytesPerSecond * 8)];
}

function drawPorts({ portFirst, portLast }: ServiceStatus): string {
  return portFirst === portLast ? String(portFirst) : `${portFirst}-${portLast}`;
}

function drawEngineCounters(counters: NodeStatus['engine']['counters']): string {
  const words = { received: 'received', sent: 'sent', sendFailed: 'not sent', missed: 'missed' } as const;
  return Object.entries(words)
    .map(([name, word]) => `${counters[name as keyof typeof words] ?? '?'} ${word}`)
    .join(', ');
}
