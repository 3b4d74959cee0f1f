/** What the demo shows, and whether it is a success. Pure functions of what was counted. */
import { columns } from '#anyhop/cli/format.js';
import type { PortCounts } from '../lab/counters.js';
import type { LoadFailure } from '../lab/l7/load.js';
import type { BrokenTime, Kill } from './events.js';
import type { Traffic } from './traffic.js';

export interface Counted {
  readonly traffic: Traffic;
  /** What the router counted, by port. */
  readonly router: ReadonlyMap<string, PortCounts>;
  readonly forwarders: readonly string[];
  readonly proxies: readonly string[];
  readonly servers: readonly string[];
  readonly brokenServer: string;
  readonly broken: BrokenTime;
  readonly reloads: number;
}

export interface Report {
  readonly text: string;
  readonly passed: boolean;
}

const FAILURES_SHOWN = 10;
/** A request that a kill meets was sent so long before at most. */
const UNDER_WAY_MS = 2_000;
/** On a busy machine a server may take a connection or a check too late, and HAProxy goes on to the next. Without cookies half of all move. */
const STRAYS_SHARE_MAX = 0.001;
const NOTHING: PortCounts = { toVip: 0, syn: 0, gre: 0, fromVip: 0 };

/** Of the changes that may fail no request. */
export function changesReport(counted: Counted): Report {
  const { traffic, router, forwarders, proxies, servers, reloads } = counted;
  const at = (port: string): PortCounts => router.get(port) ?? NOTHING;
  const strays = movedWithoutCause(counted);
  const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] => [
    '',
    ...columns(
      head,
      rows.map((row) => row.map(String)),
      new Set(head.slice(1)),
    ),
  ];
  const text = [
    ...table(
      ['forwarder', 'connections', 'answer packets'],
      forwarders.map((name) => [name, at(name).syn, at(name).fromVip]),
    ),
    ...table(
      ['proxy', 'requests answered', 'GRE packets', 'answer packets'],
      proxies.map((name) => [name, traffic.proxies[name] ?? 0, at(name).gre, at(name).fromVip]),
    ),
    ...table(
      ['server', 'requests answered'],
      servers.map((name) => [name, traffic.servers[name] ?? 0]),
    ),
    '',
    'Connections (SYNs), GRE and answer packets were counted at the router, requests by the clients.',
    `Clients with a cookie that changed their server without a cause: ${strays.length}`,
    ...strays
      .slice(0, FAILURES_SHOWN)
      .map(
        ({ atMs, client, from, to }) => `client ${client}: ${new Date(atMs).toISOString()} ${from} -> ${to}`,
      ),
    ...failureLines(traffic.failures),
    '',
    `demo-l7: ${traffic.requests} requests, ${traffic.failed} failed, ${traffic.connections} connections, ` +
      `${forwarders.length} forwarders, ${proxies.length} proxies, ${servers.length} servers, ${reloads} reloads, 1 drain`,
  ].join('\n');
  const passed =
    traffic.failed === 0 &&
    traffic.requests > 0 &&
    strays.length <= traffic.requests * STRAYS_SHARE_MAX &&
    forwarders.every((name) => at(name).syn > 0 && at(name).fromVip === 0) &&
    proxies.every((name) => (traffic.proxies[name] ?? 0) > 0 && at(name).gre > 0) &&
    servers.every((name) => (traffic.servers[name] ?? 0) > 0);
  return { text, passed };
}

/** A cookie leads to the same server through everything but the failure of that server. */
function movedWithoutCause({ traffic, brokenServer, broken }: Counted): Traffic['moves'] {
  return traffic.moves.filter(
    ({ atMs, from }) => from !== brokenServer || atMs < broken.fromMs || atMs > broken.toMs,
  );
}

/** Of a HAProxy that was killed. `limitMs` is how long new connections may still fail. */
export function killReport(traffic: Traffic, { atMs, proxy }: Kill, limitMs: number): Report {
  const after = traffic.failures.filter((failure) => failure.atMs >= atMs - UNDER_WAY_MS);
  const open = after.filter((failure) => failure.proxy === proxy);
  const fresh = after.filter((failure) => failure.proxy === null);
  const others = traffic.failures.filter((failure) => !open.includes(failure) && !fresh.includes(failure));
  const lastMs = Math.max(0, ...fresh.map((failure) => failure.atMs - atMs));
  const text = [
    ...failureLines(others),
    `demo-l7: kill -9 of HAProxy on ${proxy}: of ${traffic.requests} requests, ${open.length} failed on its open connections, ` +
      `${fresh.length} on new ones, the last after ${(lastMs / 1_000).toFixed(1)} s (at most ${(limitMs / 1_000).toFixed(1)} s), ${others.length} elsewhere`,
  ].join('\n');
  const passed = others.length === 0 && lastMs <= limitMs && traffic.failed === traffic.failures.length;
  return { text, passed };
}

export function failureLines(failures: readonly LoadFailure[]): string[] {
  return failures.slice(0, FAILURES_SHOWN).map(({ atMs, target, reason, proxy }) => {
    const via = proxy === null ? '' : `, connection to ${proxy}`;
    return `failed: ${new Date(atMs).toISOString()} ${target}: ${reason}${via}`;
  });
}
