/** Warnings about services and pools of layer 4 with which the tier loses connections, though every part is right by itself. */
import { L7_HEALTH_PATH } from '../../core/limits.js';
import { listed } from '../../core/listed.js';
import { formatDuration } from '../../core/time.js';
import type { Draft, DraftBackend, DraftHealth, DraftL7, DraftPool, DraftService } from '../draft.js';
import { quote } from '../path.js';
import type { At, Report } from '../problems.js';
import type { DraftFrontend } from './judge.js';

/** HTTP-01 challenges come to no other port (RFC 8555, section 8.3). */
const ACME_PORT = 80;

/** A service that a frontend takes, as named there. */
interface Taken {
  readonly at: At;
  readonly service: DraftService;
  readonly pool: DraftPool | undefined;
}

export function warnAboutLayer4(draft: Draft, l7: DraftL7, warn: Report): void {
  const { frontends = [] } = l7;
  const services = new Map(draft.services.map((service) => [service.name, service]));
  const pools = new Map(draft.pools.map((pool) => [pool.name, pool]));
  const takenBy = (entries: DraftFrontend['services'] = []): Taken[] =>
    entries.flatMap(({ at, value }) => {
      const service = services.get(value);
      return service === undefined ? [] : [{ at, service, pool: pools.get(service.pool ?? '') }];
    });
  const all = frontends.flatMap((one) => [...takenBy(one.services), ...takenBy(one.redirectFrom)]);
  for (const frontend of frontends) {
    const own = takenBy(frontend.services);
    warnAboutSecondChance(frontend, own, warn);
    warnAboutPools([...own, ...takenBy(frontend.redirectFrom)], warn);
  }
  warnAboutRedirects(frontends, takenBy, warn);
  for (const pool of new Set(all.flatMap(({ pool }) => pool ?? []))) warnAboutPool(pool, l7, warn);
  warnAboutAcme(l7, frontends, takenBy, warn);
}

function warnAboutSecondChance({ at }: DraftFrontend, own: readonly Taken[], warn: Report): void {
  const off = own.flatMap(({ service: { name, wrong, secondChance } }) =>
    secondChance || wrong.has('second_chance') ? [] : quote(name!),
  );
  if (off.length > 0)
    warn(
      [...at, 'services'],
      `second_chance is off for ${listed(off, { most: 3 })}: the drain of a proxy host breaks its connections; set it on`,
    );
}

/** A host that one of the pools lacks has other names and addresses than all backends of it. */
function warnAboutPools(taken: readonly Taken[], warn: Report): void {
  const reported = new Set<DraftPool>();
  for (const { pool: whole } of taken)
    for (const { at, pool } of taken) {
      if (whole === undefined || pool === undefined || whole === pool || reported.has(pool)) continue;
      const lost = whole.backends.find((one) => !pool.backends.some((other) => isSameHost(one, other)));
      if (lost?.name === undefined) continue;
      reported.add(pool);
      warn(
        at,
        `pool ${quote(pool.name)} of this service lacks ${quote(lost.name)} of pool ${quote(whole.name)}, which serves the same frontend: ` +
          'that proxy host gets no connections of this service',
      );
    }
}

function isSameHost(one: DraftBackend, other: DraftBackend): boolean {
  return one.name === other.name || one.address?.text === other.address?.text;
}

/** A client that came to a VIP by plain HTTP comes back to the same VIP by TLS. */
function warnAboutRedirects(
  frontends: readonly DraftFrontend[],
  takenBy: (entries: DraftFrontend['redirectFrom']) => Taken[],
  warn: Report,
): void {
  const withTls = frontends.filter(({ written }) => written.has('certificates'));
  const vips = new Set(
    withTls.flatMap((one) => takenBy(one.services).map(({ service }) => service.vip?.text)),
  );
  if (vips.has(undefined)) return;
  for (const { redirectFrom } of withTls)
    for (const { at, service } of takenBy(redirectFrom))
      if (service.vip !== undefined && !vips.has(service.vip.text))
        warn(
          at,
          `clients are sent to https on ${service.vip.text}, and no frontend with certificates has a service there`,
        );
}

function warnAboutPool(pool: DraftPool, l7: DraftL7, warn: Report): void {
  const { healthPort } = l7;
  warnAboutDeadline(pool, l7, warn);
  const silent = pool.backends.find(({ agent }) => !agent);
  if (silent !== undefined)
    warn(
      [...silent.at, 'agent'],
      'found false for a proxy host: without an agent, forwarders do not hear of its drain, which breaks its connections',
    );
  const { health: checks = [] } = pool;
  const asksTier = ({ kind, port, path }: DraftHealth): boolean =>
    kind === 'http' && port === healthPort && path === L7_HEALTH_PATH;
  if (
    pool.wrong.has('health') ||
    checks.some((check) => check.kind === 'none' || check.wrong.size > 0 || asksTier(check))
  )
    return;
  warn(
    checks.length === 0 ? pool.at : [...pool.at, 'health'],
    `the backends are proxy hosts, and no check asks whether HAProxy can serve; add {kind: http, port: ${healthPort}, path: ${L7_HEALTH_PATH}}`,
    'key',
  );
}

/** A drain and its end are two changes of the pool, so that of the next proxy host waits until one of them has settled. */
function warnAboutDeadline(
  { name, wrong, settleMs }: DraftPool,
  { at, drainDeadlineMs, wrong: wrongHere }: DraftL7,
  warn: Report,
): void {
  if (wrong.has('settle_time') || wrongHere.has('drain_deadline') || drainDeadlineMs >= settleMs) return;
  warn(
    [...at, 'drain_deadline'],
    `found ${formatDuration(drainDeadlineMs)}, and settle_time of pool ${quote(name)} is ${formatDuration(settleMs)}: when proxy hosts are drained ` +
      'one after the other, forwarders may follow later than this, and HAProxy then refuses connections; expected no less than settle_time',
  );
}

function warnAboutAcme(
  { at, acme }: DraftL7,
  frontends: readonly DraftFrontend[],
  takenBy: (entries: DraftFrontend['redirectFrom']) => Taken[],
  warn: Report,
): void {
  if (acme === undefined || frontends.length === 0) return;
  const plain = frontends.flatMap(({ written, services, redirectFrom }) => [
    ...takenBy(redirectFrom),
    ...(written.has('certificates') ? [] : takenBy(services)),
  ]);
  const hasPort = plain.some(
    ({ service: { ports } }) => ports === undefined || (ports.first <= ACME_PORT && ports.last >= ACME_PORT),
  );
  if (!hasPort)
    warn(
      [...at, 'acme'],
      `challenges come by plain HTTP on port ${ACME_PORT}, and no frontend takes it: name such a service in redirect_from`,
      'key',
    );
}
