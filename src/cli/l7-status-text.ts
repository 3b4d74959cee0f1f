/** The text of `anyhop l7 status`: problems stand out, and numbers are short. */

import { amount, short } from '../core/figures.js';
import { clockTime } from '../core/time.js';
import type { Forwarder } from '../l7/forwarders.js';
import type {
  CertificateStatus,
  FrontendStatus,
  L7Status,
  ServerStatus,
  UpstreamStatus,
} from '../l7/status.js';
import { columns, labelled, someOf } from './format.js';
import { drawDiscovery } from './status-text.js';

/** Of a frontend with thousands of them. */
const ROUTES_SHOWN_MAX = 50;
const RIGHT = new Set([
  'FOR',
  'SESSIONS',
  'QUEUED',
  'RATE',
  'REQUESTS',
  '2XX',
  '3XX',
  '4XX',
  '5XX',
  'RETRIES',
  'WEIGHT',
  'AVG MS',
  'MAX MS',
]);

export function drawL7Status(status: L7Status, now = new Date()): string {
  const blocks = [
    labelled(headRows(status, now), ''),
    status.frontends.length === 0 ? '' : lines(drawFrontends(status.frontends)),
    ...status.frontends.map(drawRoutes),
    ...status.upstreams.map(drawUpstream),
  ];
  return blocks.filter((block) => block !== '').join('\n');
}

function headRows(status: L7Status, now: Date): [string, string][] {
  const { haproxy, health, lastReload, drain, discovery = [], certificates } = status;
  return [
    [
      'proxy host',
      `anyhop ${status.version}, since ${clockTime(status.startedAt, now)}, config ${status.configFile}`,
    ],
    ['stage', status.stage],
    ['haproxy', drawHaproxy(haproxy)],
    ['health', health.ok ? 'ok' : `NOT OK: ${health.why ?? ''}`],
    ...(lastReload === undefined ? [] : [drawReload(lastReload, now)]),
    ...(drain === undefined ? [] : [drawDrain(drain, status, now)]),
    ...drawDiscovery(discovery, now),
    ...certificates.flatMap(drawExpiry),
  ];
}

function drawReload(
  { at, outcome, applied, problems }: NonNullable<L7Status['lastReload']>,
  now: Date,
): [string, string] {
  const time = clockTime(at, now);
  if (outcome === 'in force') {
    const how =
      applied === undefined || applied === 'nothing to change'
        ? 'nothing has changed'
        : `in force ${applied}`;
    return ['last reload', `${time}, ${how}`];
  }
  const [first = ''] = problems;
  const more =
    problems.length > 1
      ? ` (and ${amount(problems.length - 1, 'problem')} more: "anyhop l7 check" has all)`
      : '';
  return ['LAST RELOAD', `${time}, REFUSED: ${first}${more}`];
}

function drawDrain(
  { forwarders, since, deadline, askedBy, cutOff = 0 }: NonNullable<L7Status['drain']>,
  { stage }: L7Status,
  now: Date,
): [string, string] {
  const asked = `asked by ${askedBy === 'host' ? 'this host' : 'the forwarders'}, since ${clockTime(since, now)}`;
  const until = stage === 'following' ? `, until ${clockTime(deadline, now)} at most` : '';
  const who =
    forwarders === undefined ? 'the agent of this host does not answer' : drawForwarders(forwarders);
  const lost = cutOff === 0 ? '' : `; ${amount(cutOff, 'connection')} CUT OFF`;
  return ['drain', `${asked}${until}: ${who}${lost}`];
}

function drawForwarders(forwarders: readonly Forwarder[]): string {
  const following = forwarders.filter(({ draining }) => draining).length;
  const silent = forwarders.filter((one) => one.silent).map(({ address }) => address);
  const unheard = silent.length === 0 ? '' : ` (not heard any more: ${someOf(silent)})`;
  return `${following} of ${forwarders.length} forwarders drain it${unheard}`;
}

function drawExpiry({ frontend, file, notAfter, expiry }: CertificateStatus): [string, string][] {
  if (expiry === undefined) return [];
  const day = notAfter.slice(0, 10);
  return [
    [
      'CERTIFICATE',
      `${file} of ${frontend} ${expiry === 'expired' ? `HAS EXPIRED on ${day}` : `expires on ${day}`}`,
    ],
  ];
}

function drawHaproxy(haproxy: L7Status['haproxy']): string {
  const {
    state,
    version,
    pid,
    connections,
    maxConnections,
    oldWorkers,
    reloads,
    failedReloads,
    restarts,
    failedTransfers,
    droppedLogs = 0,
    why,
  } = haproxy;
  return [
    `${state === 'up' ? state : state.toUpperCase()}${why === undefined ? '' : ` (${why})`}${version === undefined ? '' : `, version ${version}`}${pid === undefined ? '' : `, process ${pid}`}`,
    ...(connections === undefined ? [] : [`${connections} of ${maxConnections} connections`]),
    `${amount(reloads, 'reload')}${failedReloads > 0 ? `, ${failedReloads} refused` : ''}`,
    ...(restarts > 0 ? [`${restarts} RESTART${restarts === 1 ? '' : 'S'}`] : []),
    ...(oldWorkers > 0 ? [amount(oldWorkers, 'old worker')] : []),
    ...(failedTransfers > 0 ? [`${failedTransfers} FAILED TRANSFERS of sockets`] : []),
    ...(droppedLogs > 0 ? [`${droppedLogs} LOG LINES DROPPED`] : []),
  ].join(', ');
}

function drawFrontends(frontends: readonly FrontendStatus[]): string[] {
  return columns(
    ['FRONTEND', 'ADDRESSES', 'SESSIONS', 'RATE', 'REQUESTS', '2XX', '3XX', '4XX', '5XX'],
    frontends.map((one) => [
      one.name,
      one.addresses.join(' '),
      String(one.sessions),
      `${short(one.requestRate ?? one.sessionRate)}/s`,
      short(one.requests ?? 0),
      ...classes(one.responses),
    ]),
    RIGHT,
  );
}

function drawRoutes({ name, routes }: FrontendStatus): string {
  const shown = routes.slice(0, ROUTES_SHOWN_MAX).map(({ match, to }) => [match, to]);
  const more = routes.length - shown.length;
  return lines([
    ...columns([`ROUTES OF ${name}`, 'TO'], shown),
    ...(more > 0 ? [`and ${amount(more, 'route')} more: --json has all`] : []),
  ]);
}

function drawUpstream({ name, usable, active, panic, queued, servers }: UpstreamStatus): string {
  const head = [
    `upstream ${name}: ${usable} of ${amount(active, 'active server')} usable`,
    ...(panic ? ['PANIC: all get requests'] : []),
    ...(queued > 0 ? [`${queued} QUEUED`] : []),
  ].join(', ');
  return lines([head, ...columns(SERVER_COLUMNS, servers.map(serverRow), RIGHT)]);
}

const SERVER_COLUMNS = [
  'SERVER',
  'ADDRESS',
  'WEIGHT',
  'STATE',
  'FOR',
  'SESSIONS',
  'RATE',
  '2XX',
  '4XX',
  '5XX',
  'RETRIES',
  'AVG MS',
  'MAX MS',
  'WHY',
];

function serverRow(server: ServerStatus): string[] {
  const { name, address, weight, forSeconds, sessions, sessionRate, responses, retries, redispatches } =
    server;
  const [ok, , refused, failed] = classes(responses);
  return [
    name,
    address,
    String(weight),
    stateOf(server),
    forSeconds === undefined ? '-' : roughly(forSeconds),
    String(sessions),
    `${short(sessionRate)}/s`,
    ok!,
    refused!,
    failed!,
    // A retry at another server counts in both.
    short(Math.max(retries, redispatches)),
    drawMs(server.times.total),
    drawMs(server.times.maxTotal),
    server.why ?? '',
  ];
}

/** `45s`, `12m`, `5h`, `3d`. */
function roughly(seconds: number): string {
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? (['s', 1] as const);
  return `${Math.floor(seconds / length)}${unit}`;
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const;

function drawMs(ms: number | undefined): string {
  return ms === undefined ? '-' : short(ms);
}

/** `up`, `DOWN`, `draining, up`, `slow start 40%`. */
function stateOf({ state, health, throttlePercent }: ServerStatus): string {
  const word =
    throttlePercent === undefined ? (health === 'down' ? 'DOWN' : health) : `slow start ${throttlePercent}%`;
  return state === 'draining' ? `draining, ${word}` : word;
}

function classes(responses: Readonly<Record<string, number>>): string[] {
  return ['2xx', '3xx', '4xx', '5xx'].map((name) => short(responses[name] ?? 0));
}

function lines(rows: readonly string[]): string {
  return rows.map((row) => `${row}\n`).join('');
}
