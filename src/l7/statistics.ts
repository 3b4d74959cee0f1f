/** From HAProxy's statistics to the frontends and upstreams of a status. Pure. */
import type { L7Config, L7Route, L7Server, L7Upstream } from '../config/l7/types.js';
import { formatEndpoint } from '../packet/compose.js';
import { type Down, type DownServers, downNow, whyOf } from './down.js';
import type { BackendStat, FrontendStat, HaproxyStats, ServerStat, Traffic } from './haproxy/stats.js';
import { panicLeast } from './render/panic.js';
import { serversInForce } from './render/servers.js';
import { serverKey } from './servers.js';
import type { FrontendStatus, Requests, ServerStatus, UpstreamStatus } from './status.js';

export function frontendsOf({ frontends }: L7Config, stats: HaproxyStats | undefined): FrontendStatus[] {
  const byName = new Map(stats?.frontends.map((one) => [one.frontend, one]));
  return frontends.map((frontend) => ({
    name: frontend.name,
    addresses: frontend.binds.map(({ vip, portFirst, portLast }) => {
      const first = formatEndpoint({ address: vip, port: portFirst });
      return portFirst === portLast ? first : `${first}-${portLast}`;
    }),
    routes: frontend.routes.map((route) => ({ match: drawMatch(route), to: drawTarget(route) })),
    ...frontendTraffic(byName.get(`f_${frontend.name}`)),
  }));
}

function frontendTraffic(stat: FrontendStat | undefined): Requests {
  return {
    ...traffic(stat),
    requests: stat?.requests.total ?? 0,
    requestRate: stat?.requests.perSecond ?? 0,
  };
}

function traffic(stat: Traffic | undefined): Requests {
  return {
    sessions: stat?.sessions.current ?? 0,
    sessionRate: stat?.sessions.perSecond ?? 0,
    bytesIn: stat?.bytesIn ?? 0,
    bytesOut: stat?.bytesOut ?? 0,
    responses: Object.fromEntries(
      Object.entries(stat?.responses ?? {}).map(([name, count]) => [name, count ?? 0]),
    ),
  };
}

/** `api.example.com/v1/ header x-beta: 1` */
export function drawMatch({ host, path, headers, cookies }: L7Route): string {
  return [
    `${host ?? '*'}${path}`,
    ...headers.map(({ name, value }) => `header ${name}: ${value}`),
    ...cookies.map(({ name, value }) => `cookie ${name}=${value}`),
  ].join(' ');
}

export function drawTarget({ to, redirect }: L7Route): string {
  return (
    to ??
    `redirect ${redirect!.status} to ${redirect!.url}${redirect!.isPrefix ? ' with path and query' : ''}`
  );
}

/** @param down what is known of servers that are down */
export function upstreamsOf(
  { upstreams }: L7Config,
  stats: HaproxyStats | undefined,
  down: DownServers,
): UpstreamStatus[] {
  const backends = new Map(stats?.backends.map((one) => [one.backend, one]));
  const servers = new Map(stats?.servers.map((one) => [serverKey(one.backend, one.server), one]));
  return upstreams.map((upstream) => {
    const { name } = upstream;
    // The panic twin has the same servers.
    const parts = [backends.get(`u_${name}`), backends.get(`p_${name}`)];
    const rows = upstream.servers.map((server) => ({
      server,
      main: servers.get(serverKey(`u_${name}`, server.name)),
      twin: servers.get(serverKey(`p_${name}`, server.name)),
      down: down.get(serverKey(name, server.name)),
    }));
    const inForce = serversInForce(upstream);
    const usable = parts[0]?.activeServers ?? 0;
    const panic = stats !== undefined && usable < panicLeast(upstream.panicThreshold, inForce);
    return {
      name,
      usable,
      active: inForce.filter(({ weight }) => weight > 0).length,
      serves: usable > 0 || (panic && rows.some(isTakenOut)),
      panic,
      queued: sum(parts, ({ queue }) => queue.current),
      ...addTraffic(parts),
      servers: rows.map((row) => serverStatus(upstream, row)),
    };
  });
}

function addTraffic(parts: readonly (BackendStat | ServerStat | undefined)[]): Requests {
  const all = parts.map(traffic);
  const add = (of: (one: Requests) => number): number => all.reduce((total, one) => total + of(one), 0);
  const classes = new Set(all.flatMap(({ responses }) => Object.keys(responses)));
  return {
    sessions: add(({ sessions }) => sessions),
    sessionRate: add(({ sessionRate }) => sessionRate),
    bytesIn: add(({ bytesIn }) => bytesIn),
    bytesOut: add(({ bytesOut }) => bytesOut),
    responses: Object.fromEntries(
      [...classes].map((name) => [name, add(({ responses }) => responses[name] ?? 0)]),
    ),
  };
}

function sum<T>(parts: readonly (T | undefined)[], of: (part: T) => number | undefined): number {
  return parts.reduce((total, part) => total + (part === undefined ? 0 : (of(part) ?? 0)), 0);
}

interface Row {
  readonly server: L7Server;
  readonly main: ServerStat | undefined;
  readonly twin: ServerStat | undefined;
  readonly down: Down | undefined;
}

/** For the requests that it failed: panic puts it back. */
function isTakenOut({ main, down }: Row): boolean {
  return main !== undefined && downNow(down, main)?.isTakenOut === true;
}

function serverStatus({ health }: L7Upstream, { server, main, twin, down }: Row): ServerStatus {
  const { name, address, port, weight, state } = server;
  const parts = [main, twin];
  const why = health === undefined || main === undefined ? undefined : whyOf(main, down);
  const busiest = (main?.sessions.total ?? 0) >= (twin?.sessions.total ?? 0) ? main : twin;
  return {
    name,
    address: formatEndpoint({ address, port }),
    weight,
    state,
    health: health === undefined ? 'unchecked' : healthOf(main),
    ...(why !== undefined && { why }),
    ...(isThrottled(main) && { throttlePercent: main!.throttle! }),
    ...(main?.changedS !== undefined && { forSeconds: main.changedS }),
    queued: sum(parts, ({ queue }) => queue.current),
    retries: sum(parts, (part) => part.retries),
    redispatches: sum(parts, (part) => part.redispatches),
    times: {
      ...(busiest?.average.queueMs !== undefined && { queue: busiest.average.queueMs }),
      ...(busiest?.average.connectMs !== undefined && { connect: busiest.average.connectMs }),
      ...(busiest?.average.responseMs !== undefined && { response: busiest.average.responseMs }),
      ...(busiest?.average.totalMs !== undefined && { total: busiest.average.totalMs }),
      ...(busiest?.largest.totalMs !== undefined && { maxTotal: busiest.largest.totalMs }),
    },
    ...addTraffic(parts),
  };
}

function isThrottled(stat: ServerStat | undefined): boolean {
  return stat?.status.startsWith('UP') === true && stat.throttle !== undefined && stat.throttle < 100;
}

/** `UP`, `UP 1/3` (going down), `DOWN`, `DOWN 1/2` (going up), `NOLB`, `DRAIN`, `no check`. */
function healthOf(stat: ServerStat | undefined): ServerStatus['health'] {
  if (stat === undefined) return 'unknown';
  if (stat.status.startsWith('DOWN')) return 'down';
  return /^(?:UP|DRAIN|NOLB)/.test(stat.status) ? 'up' : 'unknown';
}
