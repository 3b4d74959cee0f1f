/** Rules on each health check: fields of the right kind, a known port, and consistent times. */

import { formatDuration } from '../../core/time.js';
import type { Draft, DraftHealth, DraftPool, DraftService } from '../draft.js';
import { HEALTH_KEYS } from '../health-schema.js';
import { quote } from '../path.js';
import type { Report } from '../problems.js';
import type { VipEndpoint } from '../types.js';

export function checkHealth(draft: Draft, report: Report): void {
  for (const pool of draft.pools)
    for (const health of pool.health ?? []) {
      if (health.kind === undefined || health.kind === 'none') continue;
      checkFields(health, HEALTH_KEYS[health.kind], report);
      checkTunnel(draft, pool, health, report);
      checkTimes(health, report);
      checkPort(draft, pool, health, report);
    }
}

function checkFields({ kind, at, written }: DraftHealth, known: ReadonlySet<string>, report: Report): void {
  for (const field of written) {
    if (known.has(field)) continue;
    const kinds = Object.entries(HEALTH_KEYS).flatMap(([each, keys]) => (keys.has(field) ? [each] : []));
    // shape.ts reports unknown keys.
    if (kinds.length === 0) continue;
    report([...at, field], `found with kind ${kind}; expected only with ${kinds.join(' or ')}`, 'key');
  }
  if (kind === 'udp' && !written.has('payload'))
    report([...at, 'payload'], 'missing; expected a datagram that the server answers');
}

/** Linux drops an IPv4 packet whose source is its own address, as a martian, before any socket sees it; over IPv6 it does not. */
function checkTunnel(draft: Draft, pool: DraftPool, { kind, at }: DraftHealth, report: Report): void {
  if (kind !== 'tunnel' || draft.node?.localVips !== true) return;
  const vip = draft.services.find((service) => service.pool === pool.name && service.vip?.family === 4)?.vip;
  if (vip === undefined) return;
  report(
    [...at, 'kind'],
    `found tunnel with node.local_vips; expected another kind: while this host has the address ${vip.text}, it receives ` +
      'no answer from it',
  );
}

function checkTimes({ at, wrong, intervalMs, timeoutMs, jitter }: DraftHealth, report: Report): void {
  if (wrong.has('interval') || wrong.has('timeout')) return;
  const max = Math.floor(intervalMs * (1 - jitter));
  if (timeoutMs <= max) return;
  report(
    [...at, 'timeout'],
    `found ${formatDuration(timeoutMs)}; expected ${formatDuration(max)} at most, the interval ` +
      `${formatDuration(intervalMs)} minus its jitter: a check must end before the next one starts`,
  );
}

function checkPort(draft: Draft, pool: DraftPool, health: DraftHealth, report: Report): void {
  const isPortBad = health.port === undefined && health.written.has('port');
  if (draft.serviceCount === undefined || isPortBad) return; // the services are unknown
  const services = servicesOf(draft, pool);
  if (services === undefined) return;
  const at = [...health.at, 'port'];
  if (health.kind === 'tunnel') {
    const tcp = services.filter(({ protocol }) => protocol === 'tcp');
    if (tcp.length === 0) {
      report(
        [...health.at, 'kind'],
        `found tunnel, but no service gives pool ${quote(pool.name)} a VIP and a TCP port; expected such a service, or another kind`,
      );
    } else if (health.port !== undefined) {
      if (endpointsOf(tcp, health.port).length > 0) return;
      report(
        at,
        `found ${health.port}, which no TCP service of pool ${quote(pool.name)} has; expected one that it has`,
      );
    } else if (tcp.some(({ ports }) => ports!.first !== ports!.last)) {
      report(
        at,
        `missing, and a TCP service of pool ${quote(pool.name)} has a range of ports; expected the port to check`,
      );
    }
  } else if (health.port === undefined && portOf(services) === undefined) {
    const why =
      services.length === 0
        ? `no service uses pool ${quote(pool.name)}`
        : `the services of pool ${quote(pool.name)} have several ports`;
    report(at, `missing, and ${why}; expected the port to check`);
  }
}

/** The services of a pool; undefined if a mistake makes them unknown. */
export function servicesOf(draft: Draft, pool: DraftPool): DraftService[] | undefined {
  if (draft.services.some((service) => service.pool === undefined)) return undefined;
  const services = draft.services.filter((service) => service.pool === pool.name);
  const isWhole = services.every(({ vip, protocol, ports }) => vip && protocol && ports);
  return isWhole ? services : undefined;
}

/** The common port of these services. */
export function portOf(services: readonly DraftService[]): number | undefined {
  const { first } = services[0]?.ports ?? {};
  return services.every(({ ports }) => ports!.first === first && ports!.last === first) ? first : undefined;
}

/** What a tunnel check connects to: each VIP at its own port, or at the given port if the VIP has it. Without duplicates. */
export function endpointsOf(services: readonly DraftService[], port: number | undefined): VipEndpoint[] {
  const endpoints = new Map<string, VipEndpoint>();
  for (const { protocol, vip, ports } of services) {
    if (protocol !== 'tcp' || (port !== undefined && (port < ports!.first || port > ports!.last))) continue;
    const endpoint = { vip: vip!, port: port ?? ports!.first };
    endpoints.set(`${vip!.text} ${endpoint.port}`, endpoint);
  }
  return [...endpoints.values()];
}
