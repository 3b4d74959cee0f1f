/**
 * The rows of a routing table of the kernel by which routers learn of VIPs, since a routing daemon exports what is there:
 *
 *     blackhole 203.0.113.10/32  table 179  proto 179  metric 100
 *
 * Such a row is of type blackhole and protocol 179. All others in the table belong to somebody else and are never touched, even if their
 * prefix is a VIP's. A row of somebody else with the same prefix and metric keeps ours out.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { missingCapabilities } from '../core/capability.js';
import { AnyhopError } from '../core/errors.js';
import {
  ANNOUNCE_PROTOCOL,
  ANNOUNCE_ROUTES_SEARCHED_MAX,
  ANNOUNCE_ROWS_MAX,
  ROUTE_TABLE_MAIN,
} from '../core/limits.js';
import { changeHostRoutes, type HostRoute, type HostRoutes, readHostRoutes } from '../ffi/rows.js';
import { addressFromBytes, type IpAddress } from '../packet/address.js';

/** RTN_BLACKHOLE. */
const BLACKHOLE = 6;
/** Of rows that people add by hand: RTPROT_BOOT (what `ip route add` says) and RTPROT_STATIC. */
const BY_HAND: readonly number[] = [3, 4];

/** Names of protocols in rt_protos of iproute2. */
const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'redirect',
  2: 'kernel',
  3: 'boot',
  4: 'static',
  8: 'gated',
  9: 'ra',
  10: 'mrt',
  11: 'zebra',
  12: 'bird',
  13: 'dnrouted',
  14: 'xorp',
  15: 'ntk',
  16: 'dhcp',
  17: 'mrouted',
  18: 'keepalived',
  42: 'babel',
  99: 'openr',
  186: 'bgp',
  187: 'isis',
  188: 'ospf',
  189: 'rip',
  192: 'eigrp',
};
/** RTN_* of linux/rtnetlink.h, from 1. */
const TYPE_NAMES = [
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
];

/** A row of ours. */
export interface Row {
  readonly vip: IpAddress;
  /** 1 or more. */
  readonly metric: number;
}

export interface RowChange extends Row {
  readonly what: 'add' | 'delete';
}

export interface RefusedChange {
  readonly change: RowChange;
  /** In words. */
  readonly reason: string;
  /** Whether a row of another program keeps this one out. */
  readonly taken: boolean;
}

/**
 * What turns the rows found into the rows wanted, in order: first the VIPs that have none any more, then new rows, and only then the rows
 * that these replace, so that a change of metric never leaves a VIP without a row.
 * @param wanted one row a VIP at most
 */
export function planRows(wanted: readonly Row[], found: readonly Row[]): RowChange[] {
  const metrics = new Map(wanted.map(({ vip, metric }) => [vip.text, metric]));
  const present = new Set(found.map(keyOf));
  const surplus = found.filter(({ vip, metric }) => metrics.get(vip.text) !== metric);
  const deletion = (row: Row): RowChange => ({ ...row, what: 'delete' });
  return [
    ...surplus.filter(({ vip }) => !metrics.has(vip.text)).map(deletion),
    ...wanted.filter((row) => !present.has(keyOf(row))).map((row): RowChange => ({ ...row, what: 'add' })),
    ...surplus.filter(({ vip }) => metrics.has(vip.text)).map(deletion),
  ];
}

const rowsOf = new WeakMap<HostRoutes, readonly Row[]>();

/**
 * Our rows in a table, IPv4 first. The kernel selects them, and walks the whole table for that: 50 ms with a million routes. When nothing
 * has changed since the last call, the same array is returned again.
 * @throws AnyhopError ERR_ROUTE when the kernel cannot be asked, ERR_LIMIT when there are too many
 */
export function readRows(table: number): readonly Row[] {
  const filter = { protocol: ANNOUNCE_PROTOCOL, type: BLACKHOLE, routesMax: ANNOUNCE_ROWS_MAX };
  const found = readHostRoutes(table, filter);
  if (!found.complete)
    throw new AnyhopError(
      'ERR_LIMIT',
      `routing table ${table} has more than ${ANNOUNCE_ROWS_MAX} blackhole rows of protocol ${ANNOUNCE_PROTOCOL}, which VIPs cannot have`,
      { hint: `Remove them: ip route flush table ${table} proto ${ANNOUNCE_PROTOCOL} (and ip -6 the same).` },
    );
  let rows = rowsOf.get(found);
  if (rows === undefined) {
    rows = found.routes.map(({ address, metric }) => ({ vip: addressFromBytes(address), metric }));
    rowsOf.set(found, rows);
  }
  return rows;
}

/** @throws AnyhopError ERR_CAPABILITY when this process may not change rows: it would find out only at the first change */
export function requireToChangeRows(table: number): void {
  const status = readFileSync('/proc/self/status', 'latin1');
  if (missingCapabilities(['CAP_NET_ADMIN'], status).length > 0) throw mayNotChange(table);
}

function mayNotChange(table: number): AnyhopError {
  return new AnyhopError(
    'ERR_CAPABILITY',
    `routing table ${table} cannot be changed: the capability CAP_NET_ADMIN is missing`,
    { hint: 'Run as root, or give the process CAP_NET_ADMIN (systemd: AmbientCapabilities=CAP_NET_ADMIN).' },
  );
}

/**
 * Changes our rows in a table, in this order. Rows that are there already, or gone already, are as good as changed.
 * @returns the changes that the kernel refused
 * @throws AnyhopError ERR_CAPABILITY without CAP_NET_ADMIN (then nothing is changed); ERR_ROUTE when the kernel cannot be asked
 */
export function changeRows(table: number, changes: readonly RowChange[]): RefusedChange[] {
  const results = changeHostRoutes(
    table,
    changes.map(({ what, vip, metric }) => ({
      add: what === 'add',
      address: vip.bytes,
      metric,
      protocol: ANNOUNCE_PROTOCOL,
    })),
  );
  const { EPERM, EEXIST, ESRCH } = constants.errno;
  if (results.includes(-EPERM)) throw mayNotChange(table);
  const failed = changes.flatMap((change, i) => (results[i] === 0 ? [] : [{ change, error: -results[i] }]));
  const existing = failed.filter(({ change, error }) => change.what === 'add' && error === EEXIST);
  const owners =
    existing.length === 0
      ? undefined
      : ownersOf(
          table,
          existing.map(({ change }) => change),
        );
  return failed.flatMap(({ change, error }): RefusedChange[] => {
    if (change.what === 'delete' && error === ESRCH) return [];
    if (change.what === 'delete' || error !== EEXIST)
      return [{ change, taken: false, reason: refusal(table, change, error) }];
    const owner = owners?.get(keyOf(change));
    return owner !== undefined && isOurs(owner)
      ? []
      : [{ change, taken: true, reason: taken(table, change, owner) }];
  });
}

/** Who has these rows, by address and metric. Searches only so many routes of the table: in a larger one, somebody remains unknown. */
function ownersOf(table: number, rows: readonly Row[]): Map<string, HostRoute> {
  const sought = new Set(rows.map(keyOf));
  const owners = new Map<string, HostRoute>();
  for (const protocol of new Set([...searchedProtocols(table), 0])) {
    if (owners.size === sought.size) break;
    const { routes } = readHostRoutes(table, { protocol, routesMax: ANNOUNCE_ROUTES_SEARCHED_MAX });
    for (const route of routes) {
      const key = keyOf({ vip: addressFromBytes(route.address), metric: route.metric });
      // IPv6 may have several rows of one metric.
      if (sought.has(key) && (!owners.has(key) || isOurs(route))) owners.set(key, route);
    }
  }
  return owners;
}

/** Of routes in which others are looked for, 0 for all: the main table may have a million of a routing daemon, and those by hand matter most. */
export function searchedProtocols(table: number): readonly number[] {
  return table === ROUTE_TABLE_MAIN ? BY_HAND : [0];
}

export function isOurs({ type, protocol }: HostRoute): boolean {
  return type === BLACKHOLE && protocol === ANNOUNCE_PROTOCOL;
}

function taken(table: number, row: Row, owner: HostRoute | undefined): string {
  if (owner === undefined) return `another program has the row ${rowText(table, row)}`;
  return ownerText(table, owner);
}

/** What another program has. */
export function ownerText(table: number, { type, protocol, address, metric }: HostRoute): string {
  const row = rowText(table, { vip: addressFromBytes(address), metric });
  const kind = TYPE_NAMES[type - 1] ?? `type ${type}`;
  return `another program (proto ${PROTOCOL_NAMES[protocol] ?? protocol}) has the row ${kind} ${row}`;
}

function refusal(table: number, change: RowChange, error: number): string {
  const words = getSystemErrorMap().get(-error)?.[1] ?? `error ${error}`;
  return `the kernel refused to ${change.what} the row ${rowText(table, change)}: ${words}`;
}

function rowText(table: number, { vip, metric }: Row): string {
  return `${vip.text}/${vip.bytes.length * 8} table ${table} metric ${metric}`;
}

function keyOf({ vip, metric }: Row): string {
  return `${vip.text} ${metric}`;
}
