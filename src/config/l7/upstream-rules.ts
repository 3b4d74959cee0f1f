/** Rules on `l7.upstreams`: fields that go together, and servers. */
import { L7_SERVERS_PER_UPSTREAM_MAX } from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import type { Draft } from '../draft.js';
import { quote } from '../path.js';
import type { Report } from '../problems.js';
import { whyUnusable } from '../rules/address.js';
import { hostPrefix } from '../rules/pools.js';
import { Unique } from '../rules/unique.js';
import { isDistrusted } from './header-names.js';
import type { DraftFrontend, DraftUpstream, Judge } from './judge.js';

const HTTPS_PORT = 443;
/** Fields of a health check that only some kinds have. */
const ONLY_HTTP = ['path', 'host', 'status'] as const;

export function checkUpstream(
  upstream: DraftUpstream,
  draft: Draft,
  frontends: readonly DraftFrontend[],
  judge: Judge,
): void {
  checkBalance(upstream, judge);
  checkHealth(upstream, judge.report);
  checkServers(upstream, judge);
  refuseFrontendsAsServers(upstream, draft, frontends, judge.report);
  warnAboutServers(upstream, judge.warn);
  warnAboutPassive(upstream, judge.warn);
}

function checkBalance({ at, written, wrong, balance, hashOn }: DraftUpstream, { report, warn }: Judge): void {
  if (wrong.has('balance')) return;
  if (balance === 'hash' && !written.has('hash_on'))
    report(
      [...at, 'hash_on'],
      'missing; expected {header: NAME}, {cookie: NAME}, path or source with balance: hash',
    );
  if (balance !== 'hash' && written.has('hash_on'))
    warn([...at, 'hash_on'], `not used with balance: ${balance}; only balance: hash needs it`, 'key');
  if (typeof hashOn === 'object' && 'header' in hashOn && isRemoved(hashOn.header))
    report(
      [...at, 'hash_on'],
      `found the header ${quote(hashOn.header)}, which the proxy hosts remove from requests; expected another header`,
    );
}

/** Of names with "_", servers read some as names with "-". */
function isRemoved(header: string): boolean {
  return isDistrusted(header) || header.includes('_');
}

function checkHealth({ at, written, health }: DraftUpstream, report: Report): void {
  if (health === undefined || health.wrong.has('kind')) return;
  if (health.kind === 'none') {
    for (const [field, why] of [
      ['passive', 'only a check brings a server back'],
      ['panic_threshold', 'without checks every server counts as up'],
    ] as const)
      if (written.has(field)) report([...at, field], `found with health: {kind: none}; ${why}`, 'key');
  }
  if (health.kind !== 'http')
    for (const field of ONLY_HTTP)
      if (health.written.has(field))
        report([...health.at, field], `found with kind ${health.kind}; expected only with http`, 'key');
  if (health.wrong.has('interval') || health.wrong.has('timeout') || health.timeoutMs <= health.intervalMs)
    return;
  const interval = formatDuration(health.intervalMs);
  report(
    [...health.at, health.written.has('timeout') ? 'timeout' : 'interval'],
    health.written.has('timeout')
      ? `found ${formatDuration(health.timeoutMs)}; expected the interval, ${interval}, at most`
      : `found ${interval}; expected at least the timeout, which is ${formatDuration(health.timeoutMs)} by default`,
  );
}

function checkServers({ at, servers }: DraftUpstream, { document, report }: Judge): void {
  if (servers.length > L7_SERVERS_PER_UPSTREAM_MAX)
    report(
      [...at, 'servers'],
      `found ${servers.length} servers; expected ${L7_SERVERS_PER_UPSTREAM_MAX} at most`,
    );
  const names = new Unique(document, report);
  const places = new Unique(document, report);
  for (const { at: place, name, address, port } of servers) {
    if (name !== undefined) names.add(name, [...place, 'name'], `the server name ${quote(name)}`);
    if (address === undefined) continue;
    const why = whyUnusable(hostPrefix(address));
    if (why !== undefined) report([...place, 'address'], `${why}; expected the address of a server`);
    if (port !== undefined)
      places.add(`${address.text} ${port}`, [...place, 'address'], `the server ${address.text} port ${port}`);
  }
}

/** A request would come back to the frontend that it came from. */
function refuseFrontendsAsServers(
  upstream: DraftUpstream,
  { services }: Draft,
  frontends: readonly DraftFrontend[],
  report: Report,
): void {
  const users = frontends.filter(({ routes }) => routes.some(({ to }) => to === upstream.name));
  const entries = users.flatMap((user) => [...user.services, ...(user.redirectFrom ?? [])]);
  const names = new Set(entries.map(({ value }) => value));
  const own = services.filter(({ name }) => name !== undefined && names.has(name));
  for (const { at, address, port } of upstream.servers) {
    if (address === undefined || port === undefined) continue;
    const service = own.find(
      ({ vip, ports }) => vip?.text === address.text && ports && port >= ports.first && port <= ports.last,
    );
    if (service !== undefined)
      report(
        [...at, 'address'],
        `found ${address.text} port ${port}, the service ${quote(service.name!)} from which requests come here; expected the address of a server`,
      );
  }
}

function warnAboutPassive({ at, written, wrong, servers }: DraftUpstream, warn: Report): void {
  if (!written.has('passive') || wrong.has('passive') || written.has('panic_threshold')) return;
  if (servers.length < 2) return;
  warn(
    [...at, 'passive'],
    'found without panic_threshold: when something that all servers need is broken, all are taken out, and every request gets 503; ' +
      'set panic_threshold, such as 50%',
    'key',
  );
}

function warnAboutServers({ at, written, servers }: DraftUpstream, warn: Report): void {
  if (servers.length === 0) return;
  if (servers.every(({ weight, state }) => weight === 0 || state === 'draining'))
    warn([...at, 'servers'], 'no server is active with a weight above 0: new clients get 503');
  const plain = servers.find(({ port }) => port === HTTPS_PORT);
  if (plain !== undefined && !written.has('tls'))
    warn(
      [...plain.at, 'port'],
      `servers speak TLS on port ${HTTPS_PORT}, and this upstream has no tls: it is asked in plain HTTP`,
    );
}
