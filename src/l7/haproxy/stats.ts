/**
 * `show stat` and `show info` as typed rows: the fields that a status shows. HAProxy names its columns in the first line, and the
 * rows are read by these names, since each version adds some. A field that HAProxy leaves empty is undefined.
 */
import { AnyhopError } from '../../core/errors.js';
import { printable } from '../../core/printable.js';
import { readCsv } from './csv.js';

export interface Traffic {
  readonly status: string;
  readonly sessions: {
    readonly current: number | undefined;
    readonly max: number | undefined;
    readonly limit: number | undefined;
    readonly total: number | undefined;
    /** In the last second. */
    readonly perSecond: number | undefined;
  };
  readonly bytesIn: number | undefined;
  readonly bytesOut: number | undefined;
  /** HTTP answers by the first digit of their status. */
  readonly responses: Readonly<Record<'1xx' | '2xx' | '3xx' | '4xx' | '5xx' | 'other', number | undefined>>;
}

export interface FrontendStat extends Traffic {
  readonly frontend: string;
  readonly requests: { readonly total: number | undefined; readonly perSecond: number | undefined };
  readonly connections: { readonly total: number | undefined; readonly perSecond: number | undefined };
  readonly deniedRequests: number | undefined;
  readonly badRequests: number | undefined;
}

/** Milliseconds: averages over the last 1024 requests, and the largest so far. */
export interface Times {
  readonly queueMs: number | undefined;
  readonly connectMs: number | undefined;
  readonly responseMs: number | undefined;
  readonly totalMs: number | undefined;
}

/** What backends and servers have in common. */
export interface Served extends Traffic {
  readonly backend: string;
  readonly weight: number | undefined;
  readonly queue: {
    readonly current: number | undefined;
    readonly max: number | undefined;
    readonly limit: number | undefined;
  };
  readonly retries: number | undefined;
  readonly redispatches: number | undefined;
  readonly connectionErrors: number | undefined;
  readonly responseErrors: number | undefined;
  readonly average: Times;
  readonly largest: Times;
  /** Seconds since the last change of `status`. */
  readonly changedS: number | undefined;
  readonly downtimeS: number | undefined;
}

export interface BackendStat extends Served {
  /** Servers that get requests. */
  readonly activeServers: number | undefined;
}

export interface ServerStat extends Served {
  readonly server: string;
  readonly address: string | undefined;
  readonly check: {
    /** `L7OK`, `L4CON`, with `* ` before it while a check runs. */
    readonly status: string | undefined;
    /** The HTTP status of the last check. */
    readonly code: number | undefined;
    readonly durationMs: number | undefined;
    readonly description: string | undefined;
    /** What the server said in the last check, or the system's error. */
    readonly last: string | undefined;
    /** Failed checks, and changes to down. */
    readonly failed: number | undefined;
    readonly downs: number | undefined;
  };
  /** Percent of its weight, during a slow start. */
  readonly throttle: number | undefined;
}

export interface HaproxyStats {
  readonly frontends: readonly FrontendStat[];
  readonly backends: readonly BackendStat[];
  readonly servers: readonly ServerStat[];
}

export interface HaproxyInfo {
  readonly version: string;
  readonly pid: number;
  readonly uptimeS: number;
  /** Connections of clients: now, at most, and since the worker started. */
  readonly connections: number;
  readonly connectionsMax: number;
  readonly connectionsTotal: number;
  readonly requestsTotal: number;
  readonly sslConnections: number;
  readonly idlePercent: number;
  readonly isStopping: boolean;
  readonly droppedLogs: number;
}

/** Longer than any name that anyhop gives, and than HAProxy's reasons. */
const TEXT_CHARS_MAX = 200;
/** `type` of a row. */
const FRONTEND = '0';
const BACKEND = '1';
const SERVER = '2';

/** @throws AnyhopError ERR_HAPROXY when it is no answer to `show stat` */
export function readStats(answer: string): HaproxyStats {
  const [head = [], ...rows] = readCsv(answer.replace(/^# /, ''));
  const columns = new Map(head.map((name, i) => [name, i]));
  if (!['pxname', 'svname', 'type', 'status'].every((name) => columns.has(name))) throw notUnderstood(answer);
  const stats = {
    frontends: [] as FrontendStat[],
    backends: [] as BackendStat[],
    servers: [] as ServerStat[],
  };
  for (const row of rows) {
    const fields = new Fields(columns, row);
    const type = fields.raw('type');
    if (type === FRONTEND) stats.frontends.push(frontend(fields));
    else if (type === BACKEND)
      stats.backends.push({ ...served(fields), activeServers: fields.number('act') });
    else if (type === SERVER) stats.servers.push(server(fields));
  }
  return stats;
}

/** @throws AnyhopError ERR_HAPROXY when it is no answer to `show info` */
export function readInfo(answer: string): HaproxyInfo {
  const rows = answer.split('\n').map((line) => line.split(': ', 2));
  const fields = new Fields(
    new Map(rows.map(([name = ''], i) => [name, i])),
    rows.map(([, value = '']) => value),
  );
  const version = fields.text('Version');
  const pid = fields.number('Pid');
  if (version === undefined || pid === undefined) throw notUnderstood(answer);
  return {
    version,
    pid,
    uptimeS: fields.number('Uptime_sec') ?? 0,
    connections: fields.number('CurrConns') ?? 0,
    connectionsMax: fields.number('Maxconn') ?? 0,
    connectionsTotal: fields.number('CumConns') ?? 0,
    requestsTotal: fields.number('CumReq') ?? 0,
    sslConnections: fields.number('CurrSslConns') ?? 0,
    idlePercent: fields.number('Idle_pct') ?? 0,
    isStopping: fields.raw('Stopping') === '1',
    droppedLogs: fields.number('DroppedLogs') ?? 0,
  };
}

/** One row, read by the names of its columns. */
class Fields {
  readonly #columns: ReadonlyMap<string, number>;
  readonly #row: readonly string[];

  constructor(columns: ReadonlyMap<string, number>, row: readonly string[]) {
    this.#columns = columns;
    this.#row = row;
  }

  raw(name: string): string {
    return this.#row[this.#columns.get(name) ?? -1] ?? '';
  }

  text(name: string): string | undefined {
    const raw = this.raw(name);
    return raw === '' ? undefined : printable(raw, TEXT_CHARS_MAX);
  }

  /** A whole number, 0 or more. */
  number(name: string): number | undefined {
    const raw = this.raw(name);
    return /^\d{1,15}$/.test(raw) ? Number(raw) : undefined;
  }
}

function traffic(fields: Fields): Traffic {
  const n = (name: string): number | undefined => fields.number(name);
  return {
    status: fields.text('status') ?? '',
    sessions: {
      current: n('scur'),
      max: n('smax'),
      limit: n('slim'),
      total: n('stot'),
      perSecond: n('rate'),
    },
    bytesIn: n('bin'),
    bytesOut: n('bout'),
    responses: {
      '1xx': n('hrsp_1xx'),
      '2xx': n('hrsp_2xx'),
      '3xx': n('hrsp_3xx'),
      '4xx': n('hrsp_4xx'),
      '5xx': n('hrsp_5xx'),
      other: n('hrsp_other'),
    },
  };
}

function frontend(fields: Fields): FrontendStat {
  return {
    frontend: fields.text('pxname') ?? '',
    ...traffic(fields),
    requests: { total: fields.number('req_tot'), perSecond: fields.number('req_rate') },
    connections: { total: fields.number('conn_tot'), perSecond: fields.number('conn_rate') },
    deniedRequests: fields.number('dreq'),
    badRequests: fields.number('ereq'),
  };
}

function served(fields: Fields): Served {
  const n = (name: string): number | undefined => fields.number(name);
  const times = (suffix: string): Times => ({
    queueMs: n(`qtime${suffix}`),
    connectMs: n(`ctime${suffix}`),
    responseMs: n(`rtime${suffix}`),
    totalMs: n(`ttime${suffix}`),
  });
  return {
    backend: fields.text('pxname') ?? '',
    ...traffic(fields),
    weight: n('weight'),
    queue: { current: n('qcur'), max: n('qmax'), limit: n('qlimit') },
    retries: n('wretr'),
    redispatches: n('wredis'),
    connectionErrors: n('econ'),
    responseErrors: n('eresp'),
    average: times(''),
    largest: times('_max'),
    changedS: n('lastchg'),
    downtimeS: n('downtime'),
  };
}

function server(fields: Fields): ServerStat {
  return {
    ...served(fields),
    server: fields.text('svname') ?? '',
    address: fields.text('addr'),
    check: {
      status: fields.text('check_status'),
      code: fields.number('check_code'),
      durationMs: fields.number('check_duration'),
      description: fields.text('check_desc'),
      last: fields.text('last_chk'),
      failed: fields.number('chkfail'),
      downs: fields.number('chkdown'),
    },
    throttle: fields.number('throttle'),
  };
}

function notUnderstood(answer: string): AnyhopError {
  return new AnyhopError('ERR_HAPROXY', `HAProxy's statistics are not understood: ${printable(answer)}`);
}
