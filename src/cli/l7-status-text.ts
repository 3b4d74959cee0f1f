/** The text of `anyhop l7 status`: problems stand out, and numbers are short. */
import { clockTime } from '../core/time.js';
import type { FrontendStatus, L7Status, ServerStatus, UpstreamStatus } from '../l7/status.js';
import { amount, columns, labelled, short } from './format.js';

const RIGHT = new Set([
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
    lines(drawFrontends(status.frontends)),
    ...status.frontends.map(drawRoutes),
    ...status.upstreams.map(drawUpstream),
  ];
  return blocks.filter((block) => block !== '').join('\n');
}

function headRows(status: L7Status, now: Date): [string, string][] {
  const { haproxy, health, lastReload, drain } = status;
  const rows: [string, string][] = [
    [
      'proxy host',
      `anyhop ${status.version}, since ${clockTime(status.startedAt, now)}, config ${status.configFile}`,
    ],
    ['stage', status.stage],
    ['haproxy', drawHaproxy(haproxy)],
    ['health', health.ok ? 'ok' : `NOT OK: ${health.why ?? ''}`],
  ];
  if (lastReload !== undefined) {
    const at = clockTime(lastReload.at, now);
    rows.push(
      lastReload.outcome === 'in force'
        ? ['last reload', `${at}, in force`]
        : ['LAST RELOAD', `${at}, REFUSED: ${lastReload.problems.join('; ')}`],
    );
  }
  if (drain !== undefined) {
    const { forwarders } = drain;
    const who =
      forwarders === undefined
        ? 'the agent of this host does not answer'
        : `${forwarders.filter(({ draining }) => draining).length} of ${amount(forwarders.length, 'forwarder')} drain it`;
    rows.push([
      'drain',
      `since ${clockTime(drain.since, now)}, until ${clockTime(drain.deadline, now)} at most: ${who}`,
    ]);
  }
  return rows;
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
  } = haproxy;
  return [
    `${state}${version === undefined ? '' : `, version ${version}`}${pid === undefined ? '' : `, process ${pid}`}`,
    ...(connections === undefined ? [] : [`${connections} of ${maxConnections} connections`]),
    `${amount(reloads, 'reload')}${failedReloads > 0 ? `, ${failedReloads} FAILED` : ''}`,
    ...(restarts > 0 ? [amount(restarts, 'RESTART')] : []),
    ...(oldWorkers > 0 ? [amount(oldWorkers, 'old worker')] : []),
    ...(failedTransfers > 0 ? [`${failedTransfers} FAILED TRANSFERS of sockets`] : []),
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
  return lines(
    columns(
      [`ROUTES OF ${name}`, 'TO'],
      routes.map(({ match, to }) => [match, to]),
    ),
  );
}

function drawUpstream(upstream: UpstreamStatus): string {
  const { name, usable, active, panic, queued, servers } = upstream;
  const head = `upstream ${name}: ${usable} of ${active} active servers usable${panic ? ', PANIC: all get requests' : ''}${queued > 0 ? `, ${queued} QUEUED` : ''}\n`;
  return (
    head +
    lines(
      columns(
        [
          'SERVER',
          'ADDRESS',
          'WEIGHT',
          'STATE',
          'SESSIONS',
          'RATE',
          '2XX',
          '4XX',
          '5XX',
          'RETRIES',
          'AVG MS',
          'MAX MS',
          'WHY',
        ],
        servers.map((server) => [
          server.name,
          server.address,
          String(server.weight),
          stateOf(server),
          String(server.sessions),
          `${short(server.sessionRate)}/s`,
          ...classes(server.responses).filter((_, i) => i !== 1),
          String(server.retries + server.redispatches),
          server.times.total === undefined ? '-' : String(server.times.total),
          server.times.maxTotal === undefined ? '-' : String(server.times.maxTotal),
          server.why ?? '',
        ]),
        RIGHT,
      ),
    )
  );
}

function stateOf({ state, health }: ServerStatus): string {
  const word = health === 'down' ? 'DOWN' : health;
  return state === 'draining' ? `draining, ${word}` : word;
}

function classes(responses: Readonly<Record<string, number>>): string[] {
  return ['2xx', '3xx', '4xx', '5xx'].map((name) => short(responses[name] ?? 0));
}

function lines(rows: readonly string[]): string {
  return rows.map((row) => `${row}\n`).join('');
}
