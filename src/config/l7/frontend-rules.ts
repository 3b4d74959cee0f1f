/** Rules on `l7.frontends`: services that exist, what needs TLS, and ports with the protocol that clients expect there. */
import { L7_ROUTES_MAX } from '../../core/limits.js';
import type { Draft, DraftService } from '../draft.js';
import { quote } from '../path.js';
import type { Report } from '../problems.js';
import { Unique } from '../rules/unique.js';
import { checkHeaders } from './header-rules.js';
import { type DraftFrontend, type DraftUpstream, type Judge, meant } from './judge.js';
import { checkReachable } from './reachable-routes.js';
import { refuseCircles } from './redirect-circles.js';
import { checkRoute } from './route-rules.js';

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/** Each service is in one frontend at most. */
export function checkServices(
  { services, serviceCount }: Draft,
  frontends: readonly DraftFrontend[],
  { document, report }: Judge,
): void {
  if (serviceCount === undefined) return;
  // Of two with one name the first, since the second is reported.
  const byName = new Map(services.toReversed().map((service) => [service.name ?? '', service]));
  const isKnown = !byName.has(''); // a service with a wrong name may be the one that is meant
  const taken = new Unique(document, report);
  for (const { services: own, redirectFrom = [] } of frontends) {
    for (const { at, value } of [...own, ...redirectFrom]) {
      const service = byName.get(value);
      if (service === undefined && isKnown) {
        const what = meant(value, byName.keys(), 'a service under services');
        report(at, `found ${quote(value)}, which is not a service; ${what}`);
      }
      if (service?.protocol === 'udp')
        report(at, `found the UDP service ${quote(value)}; expected a service over TCP`);
      taken.add(value, at, `the service ${quote(value)}`);
    }
  }
}

export function checkFrontend(
  frontend: DraftFrontend,
  { services }: Draft,
  upstreams: readonly DraftUpstream[] | undefined,
  judge: Judge,
): void {
  const { at, wrong } = frontend;
  const { report, warn } = judge;
  // An entry that is no mapping is reported, and takes no request.
  const routes = frontend.routes.filter(({ written }) => !wrong.has('routes') || written.size > 0);
  checkTls(frontend, report);
  warnAboutPorts(frontend, services, warn);
  checkHeaders(frontend.headers, judge);
  if (routes.length > L7_ROUTES_MAX)
    report([...at, 'routes'], `found ${routes.length} routes; expected ${L7_ROUTES_MAX} at most`);
  const names = upstreams && new Set(upstreams.map(({ name }) => name));
  for (const route of routes) checkRoute(route, names, judge);
  checkReachable(routes, judge);
  refuseCircles(frontend, services, report);
}

function checkTls({ at, written }: DraftFrontend, report: Report): void {
  if (written.has('certificates')) return;
  const needs = { redirect_from: 'a redirect to https', hsts: 'HSTS', clients: 'a client certificate' };
  for (const [field, what] of Object.entries(needs))
    if (written.has(field))
      report(
        [...at, field],
        `found without certificates; ${what} needs TLS: expected certificates too`,
        'key',
      );
}

/** Clients of the well-known ports expect the well-known protocol. */
function warnAboutPorts(
  frontend: DraftFrontend,
  services: readonly DraftService[],
  warn: Judge['warn'],
): void {
  const hasTls = frontend.written.has('certificates');
  const portOf = (name: string) => services.find((service) => service.name === name)?.ports?.first;
  for (const { at, value } of frontend.services) {
    if (hasTls && portOf(value) === HTTP_PORT)
      warn(
        at,
        `clients speak plain HTTP on port ${HTTP_PORT}, and this frontend expects TLS; did you mean redirect_from?`,
      );
    if (!hasTls && portOf(value) === HTTPS_PORT)
      warn(at, `clients speak TLS on port ${HTTPS_PORT}, and this frontend has no certificates`);
  }
  for (const { at, value } of frontend.redirectFrom ?? [])
    if (portOf(value) === HTTPS_PORT)
      warn(at, `clients speak TLS on port ${HTTPS_PORT}, and redirect_from expects plain HTTP`);
}
