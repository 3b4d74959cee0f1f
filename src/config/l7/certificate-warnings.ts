/**
 * Warnings about certificates that clients would refuse, or never see. A wildcard in a certificate stands for one label
 * (RFC 9525), that of a route for one or more; a route for `*.example.com` needs a certificate for some name below example.com.
 */
import { listed } from '../../core/listed.js';
import { clockTime } from '../../core/time.js';
import { quote } from '../path.js';
import type { At, Report } from '../problems.js';
import type { LoadedCertificate } from './certificates.js';
import type { DraftFrontend } from './judge.js';

const WILDCARD = '*.';

export function warnAboutCertificate(
  { path, notBefore, notAfter, isOpen }: LoadedCertificate,
  at: At,
  warn: Report,
): void {
  const now = Date.now();
  if (notAfter.getTime() < now)
    warn(at, `${quote(path)} has expired (${clockTime(notAfter.toISOString())}): it is refused`);
  if (notBefore.getTime() > now)
    warn(at, `${quote(path)} is not valid before ${clockTime(notBefore.toISOString())}: it is refused`);
  if (isOpen)
    warn(at, `${quote(path)} holds a private key, and every user can access it; run chmod 600 on it`);
}

/** Hosts of routes and names of certificates that do not meet. */
export function warnAboutHosts(
  { at, routes }: DraftFrontend,
  directory: string,
  certificates: readonly LoadedCertificate[],
  warn: Report,
): void {
  const hosts = new Map(routes.map((route) => [route.host, route]));
  const named = [...hosts.keys()].filter((host) => host !== undefined);
  const isCovered = coverage(certificates.flatMap((certificate) => certificate.hosts));
  const missing = named.filter((host) => !isCovered(host));
  if (missing.length > 0)
    warn(
      [...hosts.get(missing[0])!.at, 'host'],
      `no certificate in ${quote(directory)} is for ${listed(missing)}: clients refuse the one that they get instead`,
    );
  if (hosts.has(undefined) || routes.some(({ wrong }) => wrong.has('host'))) return;
  const isServed = serving(named);
  const idle = certificates.filter((one) => !one.hosts.some(isServed));
  if (idle.length > 0)
    warn(
      [...at, 'certificates'],
      `no route is for a host of ${listed(idle, { text: ({ path, hosts: own }) => `${quote(path)} (${listed(own)})` })}`,
    );
}

/** Whether a certificate is for the host of a route, or for some of the hosts that its wildcard stands for. */
function coverage(names: readonly string[]): (host: string) => boolean {
  const all = new Set(names);
  const above = new Set(names.flatMap(namesAbove));
  return (host) => {
    if (host.startsWith(WILDCARD)) return above.has(host.slice(WILDCARD.length));
    return all.has(host) || all.has(WILDCARD + namesAbove(host)[0]);
  };
}

/** Whether a route is for the name of a certificate, or for one of the hosts that its wildcard stands for. */
function serving(hosts: readonly string[]): (name: string) => boolean {
  const all = new Set(hosts);
  const parents = new Set(hosts.map((host) => namesAbove(host)[0]));
  return (name) => {
    const above = namesAbove(name);
    if (name.startsWith(WILDCARD) && parents.has(above[0])) return true;
    return all.has(name) || above.some((each) => all.has(WILDCARD + each));
  };
}

/** `a.b.c`: `b.c` and `c`. */
function namesAbove(name: string): string[] {
  const labels = name.split('.');
  return labels.slice(1).map((_, index) => labels.slice(index + 1).join('.'));
}
