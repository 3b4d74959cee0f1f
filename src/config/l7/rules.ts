/** Rules on the section `l7`: names that exist, routes that can be reached, and fields that go together. */
import {
  L7_FRONTENDS_MAX,
  L7_HEADERS_MAX,
  L7_ROUTES_MAX,
  L7_SERVERS_PER_UPSTREAM_MAX,
  L7_UPSTREAMS_MAX,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftL7 } from '../draft.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../name-fields.js';
import { nearest } from '../nearest.js';
import { type FieldPath, quote } from '../path.js';
import { describePlace, type Report } from '../problems.js';
import { whyUnusable } from '../rules/address.js';
import { hostPrefix } from '../rules/pools.js';
import { Unique } from '../rules/unique.js';
import { TOKEN_PATTERN } from './schema.js';

type DraftFrontend = NonNullable<DraftL7['frontends']>[number];
type DraftRoute = DraftFrontend['routes'][number];
type DraftUpstream = NonNullable<DraftL7['upstreams']>[number];
type DraftPairs = DraftRoute['headers'];

/** They frame messages, name the client, or are set by every proxy host itself. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-request-id',
]);

interface Judge {
  readonly document: ConfigDocument;
  readonly report: Report;
  readonly warn: Report;
}

export function checkL7(draft: Draft, document: ConfigDocument, report: Report, warn: Report): void {
  const { l7 } = draft;
  if (l7 === undefined) return;
  const judge = { document, report, warn };
  if (l7.written.has('key') && l7.written.has('key_file'))
    report([...l7.at, 'key_file'], 'found both key and key_file; expected one of the two', 'key');
  const { frontends = [], upstreams = [] } = l7;
  checkNames('frontend', frontends, L7_FRONTENDS_MAX, [...l7.at, 'frontends'], report);
  checkNames('upstream', upstreams, L7_UPSTREAMS_MAX, [...l7.at, 'upstreams'], report);
  checkServices(draft, frontends, judge);
  for (const frontend of frontends) checkFrontend(frontend, upstreams, judge);
  for (const upstream of upstreams) checkUpstream(upstream, judge);
  warnAboutUnused(frontends, upstreams, warn);
}

/** What only the process on a proxy host needs. */
export function checkL7Needs(draft: Draft, report: Report): void {
  const { l7, written } = draft;
  if (!written.has('l7')) {
    report(['l7'], 'missing; expected a mapping {frontends: ..., upstreams: ...}');
    return;
  }
  if (l7 === undefined) return;
  if (!l7.written.has('frontends') || l7.frontends?.length === 0)
    report(
      [...l7.at, 'frontends'],
      'missing; expected at least one frontend: {NAME: {services: [...], routes: [...]}}',
    );
  const why = l7.frontends?.some(({ certificates }) => certificates !== undefined)
    ? 'session tickets'
    : l7.upstreams?.some(({ sticky }) => sticky !== undefined)
      ? 'sticky cookies'
      : undefined;
  if (why !== undefined && !l7.written.has('key') && !l7.written.has('key_file'))
    report(
      [...l7.at, 'key_file'],
      `missing, and ${why} need the same subkey on every proxy host; expected the path of its file: "anyhop l7 key" prints it`,
    );
}

function checkNames(
  what: string,
  entries: readonly { readonly name: string; readonly at: FieldPath }[],
  most: number,
  at: FieldPath,
  report: Report,
): void {
  if (entries.length > most) report(at, `found ${entries.length} ${what}s; expected ${most} at most`);
  for (const { name, at: place } of entries)
    if (!NAME_PATTERN.test(name)) report(place, `found ${quote(name)}; expected ${NAME_EXPECTED}`, 'key');
}

function checkServices(
  { services, serviceCount }: Draft,
  frontends: readonly DraftFrontend[],
  { document, report }: Judge,
): void {
  if (serviceCount === undefined) return;
  const byName = new Map(services.map((service) => [service.name, service]));
  const taken = new Unique(document, report);
  for (const { services: own, redirectFrom = [] } of frontends) {
    for (const { at, value } of [...own, ...redirectFrom]) {
      const service = byName.get(value);
      if (service === undefined) {
        const meant = nearest(
          value,
          [...byName.keys()].flatMap((name) => name ?? []),
        );
        const expected =
          meant === undefined
            ? 'expected the name of a service under services'
            : `did you mean ${quote(meant)}?`;
        report(at, `found ${quote(value)}, which is not a service; ${expected}`);
        continue;
      }
      if (service.protocol === 'udp')
        report(at, `found the UDP service ${quote(value)}; expected a service over TCP`);
      taken.add(value, at, `the service ${quote(value)}`);
    }
  }
}

function checkFrontend(frontend: DraftFrontend, upstreams: readonly DraftUpstream[], judge: Judge): void {
  const { at, written, headers, routes } = frontend;
  const { report } = judge;
  if (!written.has('certificates')) {
    const needs = { redirect_from: 'a redirect to https', hsts: 'HSTS', clients: 'a client certificate' };
    for (const [field, what] of Object.entries(needs))
      if (written.has(field))
        report(
          [...at, field],
          `found without certificates; ${what} needs TLS: expected certificates too`,
          'key',
        );
  }
  for (const part of [headers, headers?.request, headers?.response]) {
    if (part === undefined) continue;
    checkPairs('header', part.set, report);
    const set = new Set((part.set ?? []).map(({ name }) => name.toLowerCase()));
    for (const { at: place, value } of part.remove ?? []) {
      refuseReserved(place as FieldPath, value, report, 'value');
      if (set.has(value.toLowerCase()))
        report(place, `found ${quote(value)}, which set has too; expected it in one of the two`);
    }
    for (const { at: place, name } of part.set ?? []) refuseReserved(place as FieldPath, name, report, 'key');
  }
  if (routes.length > L7_ROUTES_MAX)
    report([...at, 'routes'], `found ${routes.length} routes; expected ${L7_ROUTES_MAX} at most`);
  const names = new Set(upstreams.map(({ name }) => name));
  for (const route of routes) checkRoute(route, names, report);
  checkReachable(routes, judge);
}

function refuseReserved(at: FieldPath, name: string, report: Report, part: 'key' | 'value'): void {
  if (!RESERVED_HEADERS.has(name.toLowerCase())) return;
  report(
    at,
    `found ${quote(name)}, which the proxy hosts and HTTP itself set; expected another header`,
    part,
  );
}

function checkPairs(what: 'header' | 'cookie', pairs: DraftPairs, report: Report): void {
  if (pairs === undefined) return;
  if (pairs.length > L7_HEADERS_MAX)
    report(pairs[0]!.at, `found ${pairs.length} ${what}s; expected ${L7_HEADERS_MAX} at most`, 'key');
  const seen = new Set<string>();
  for (const { at, name } of pairs) {
    if (!TOKEN_PATTERN.test(name))
      report(at, `found ${quote(name)}; expected the name of a ${what}: letters, digits, "-" and "_"`, 'key');
    const key = what === 'header' ? name.toLowerCase() : name;
    if (seen.has(key))
      report(at, `found the ${what} ${quote(name)} twice; names of headers have no case`, 'key');
    seen.add(key);
  }
}

function checkRoute(route: DraftRoute, upstreams: ReadonlySet<string>, report: Report): void {
  const { at, written, to } = route;
  checkPairs('header', route.headers, report);
  checkPairs('cookie', route.cookies, report);
  const targets = ['to', 'redirect'].filter((field) => written.has(field));
  if (targets.length === 0) report(at, 'found neither to nor redirect; expected one of the two');
  if (targets.length === 2)
    report([...at, 'redirect'], 'found both to and redirect; expected one of the two', 'key');
  if (written.has('status') && !written.has('redirect'))
    report([...at, 'status'], 'found without redirect; expected only with redirect', 'key');
  if (to === undefined || upstreams.has(to)) return;
  const meant = nearest(to, upstreams);
  const expected =
    meant === undefined
      ? 'expected the name of an upstream under l7.upstreams'
      : `did you mean ${quote(meant)}?`;
  report([...at, 'to'], `found ${quote(to)}, which is not an upstream; ${expected}`);
}

/** A route after one with the same host and path and without conditions gets no request. */
function checkReachable(routes: readonly DraftRoute[], { document, report }: Judge): void {
  const last = new Map<string, DraftRoute>();
  for (const route of routes) {
    if (route.wrong.has('host') || route.wrong.has('path')) continue;
    const key = `${route.host ?? ''} ${segments(route.path)}`;
    const before = last.get(key);
    if (before !== undefined) {
      report(
        route.at,
        `no request gets here: the route of ${describePlace(document, before.at)} has the same host and path and takes all of them; ` +
          'expected routes with conditions before those without',
      );
    } else if (!route.written.has('header') && !route.written.has('cookie')) last.set(key, route);
  }
}

/** Paths match by whole segments: a slash at the end makes no difference. */
function segments(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

function checkUpstream(upstream: DraftUpstream, judge: Judge): void {
  const { at, written, balance, health, servers } = upstream;
  const { report, warn } = judge;
  if (balance === 'hash' && !written.has('hash_on'))
    report(
      [...at, 'hash_on'],
      'missing; expected {header: NAME}, {cookie: NAME}, path or source with balance: hash',
    );
  if (balance !== 'hash' && written.has('hash_on'))
    report([...at, 'hash_on'], `found with balance: ${balance}; expected only with balance: hash`, 'key');
  if (health?.kind === 'none') {
    for (const [field, why] of [
      ['passive', 'only a check brings a server back'],
      ['panic_threshold', 'without checks every server counts as up'],
    ] as const)
      if (written.has(field)) report([...at, field], `found with health: {kind: none}; ${why}`, 'key');
  }
  if (
    health !== undefined &&
    !health.wrong.has('interval') &&
    !health.wrong.has('timeout') &&
    health.timeoutMs > health.intervalMs
  )
    report(
      [...health.at, 'timeout'],
      `found ${formatDuration(health.timeoutMs)}; expected the interval, ${formatDuration(health.intervalMs)}, at most`,
    );
  if (health?.kind === 'tcp' || health?.kind === 'none')
    for (const field of ['path', 'host', 'status'])
      if (health.written.has(field))
        report([...health.at, field], `found with kind ${health.kind}; expected only with http`, 'key');
  checkServers(upstream, judge);
  if (servers.length > 0 && servers.every(({ weight, state }) => weight === 0 || state === 'draining'))
    warn([...at, 'servers'], 'no server is active with a weight above 0: new clients get 503');
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
      places.add(`${address.text} ${port}`, [...place, 'address'], `${address.text} port ${port}`);
  }
}

function warnAboutUnused(
  frontends: readonly DraftFrontend[],
  upstreams: readonly DraftUpstream[],
  warn: Report,
): void {
  const used = new Set(frontends.flatMap(({ routes }) => routes.flatMap(({ to }) => to ?? [])));
  for (const { name, at } of upstreams)
    if (!used.has(name)) warn(at, 'no route leads to this upstream', 'key');
}
