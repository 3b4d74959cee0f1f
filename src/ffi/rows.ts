/** Host routes of a routing table of the kernel, by netlink and without a process (native/lib/rows.c). */
import { anyhopLibrary } from './library.js';

/** A host route, of a full-length prefix and without a TOS. */
export interface HostRoute {
  /** Network order: 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly metric: number;
  /** RTN_* of linux/rtnetlink.h. */
  readonly type: number;
  /** RTPROT_*: who made it. */
  readonly protocol: number;
}

/** The kernel leaves out what is not asked for. */
export interface RouteFilter {
  readonly protocol?: number;
  readonly type?: number;
  /** So many routes of each family are looked at. */
  readonly routesMax: number;
}

export interface HostRoutes {
  /** IPv4, then IPv6. */
  readonly routes: readonly HostRoute[];
  /** False when the table has more routes than were looked at. */
  readonly complete: boolean;
}

/** A blackhole route to add or to delete. */
export interface RouteChange {
  readonly add: boolean;
  readonly address: Uint8Array;
  readonly metric: number;
  readonly protocol: number;
}

const ROW_BYTES = 24;
const METRIC_AT = 16;
const FAMILY_AT = 20;
const TYPE_AT = 21;
const PROTOCOL_AT = 22;
const ADD_AT = 23;
const AF_INET = 2;
const AF_INET6 = 10;

let room = Buffer.alloc(0);
/** By what was asked. */
const last = new Map<string, { readonly bytes: Buffer; readonly routes: HostRoutes }>();

/**
 * Host routes of a table; none of a table that is not there. Needs no capability. Two such readings with the same outcome return the
 * same object: who looks every second does the work of a thousand rows once.
 * @throws AnyhopError ERR_ROUTE when the kernel cannot be asked
 */
export function readHostRoutes(
  table: number,
  { protocol = 0, type = 0, routesMax }: RouteFilter,
): HostRoutes {
  const bytesMax = 2 * ROW_BYTES * routesMax;
  if (room.length < bytesMax) room = Buffer.alloc(bytesMax);
  const cut = Buffer.alloc(4);
  const count = anyhopLibrary.call(
    'ERR_ROUTE',
    'anyhop_rows_read',
    table | 0,
    protocol,
    type,
    routesMax,
    room,
    cut,
  );
  const bytes = room.subarray(0, ROW_BYTES * count);
  const complete = cut.readUInt32LE() === 0;
  const question = `${table} ${protocol} ${type}`;
  const before = last.get(question);
  if (before !== undefined && complete === before.routes.complete && bytes.equals(before.bytes))
    return before.routes;
  const routes = { routes: Array.from({ length: count }, (_, i) => routeAt(bytes, ROW_BYTES * i)), complete };
  last.set(question, { bytes: Buffer.from(bytes), routes });
  return routes;
}

function routeAt(bytes: Buffer, at: number): HostRoute {
  return {
    address: Uint8Array.from(bytes.subarray(at, at + (bytes[at + FAMILY_AT] === AF_INET ? 4 : 16))),
    metric: bytes.readUInt32LE(at + METRIC_AT),
    type: bytes[at + TYPE_AT],
    protocol: bytes[at + PROTOCOL_AT],
  };
}

/**
 * Makes these changes of a table in their order; one that fails stops none of the others. A row with the address and metric of another
 * one is refused (EEXIST). A deletion takes only a row of that address, metric and protocol.
 * @returns 0 or a negative errno for each
 * @throws AnyhopError ERR_ROUTE when the kernel cannot be asked; some changes may have been made
 */
export function changeHostRoutes(table: number, changes: readonly RouteChange[]): number[] {
  if (changes.length === 0) return [];
  const bytes = Buffer.alloc(ROW_BYTES * changes.length);
  for (const [i, { add, address, metric, protocol }] of changes.entries()) {
    const at = ROW_BYTES * i;
    bytes.set(address, at);
    bytes.writeUInt32LE(metric, at + METRIC_AT);
    bytes[at + FAMILY_AT] = address.length === 4 ? AF_INET : AF_INET6;
    bytes[at + PROTOCOL_AT] = protocol;
    bytes[at + ADD_AT] = add ? 1 : 0;
  }
  const results = Buffer.alloc(4 * changes.length);
  anyhopLibrary.call('ERR_ROUTE', 'anyhop_rows_change', table | 0, bytes, changes.length, results);
  return changes.map((_, i) => results.readInt32LE(4 * i));
}
