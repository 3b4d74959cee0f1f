/** Warnings about upstreams that no route needs, and about upstreams whose cookies meet in one browser. */
import { quote } from '../path.js';
import { describePlace } from '../problems.js';
import type { DraftFrontend, DraftUpstream, Judge } from './judge.js';

export function warnAboutUpstreams(
  frontends: readonly DraftFrontend[],
  upstreams: readonly DraftUpstream[],
  judge: Judge,
): void {
  const used = new Set(frontends.flatMap(({ routes }) => routes.flatMap(({ to }) => to ?? [])));
  for (const { name, at } of upstreams)
    if (!used.has(name)) judge.warn(at, 'no route leads to this upstream', 'key');
  warnAboutCookies(frontends, upstreams, judge);
}

/** A browser keeps one cookie of a name for a host, and each upstream replaces what it does not know. */
function warnAboutCookies(
  frontends: readonly DraftFrontend[],
  upstreams: readonly DraftUpstream[],
  { document, warn }: Judge,
): void {
  const byName = new Map(upstreams.map((upstream) => [upstream.name, upstream]));
  const warned = new Set<DraftUpstream>();
  for (const { routes } of frontends) {
    const first = new Map<string, DraftUpstream>();
    for (const { host, to } of routes) {
      const upstream = byName.get(to ?? '');
      const cookie = upstream?.sticky?.cookie;
      if (upstream === undefined || cookie === undefined) continue;
      const key = `${cookie} ${host ?? ''}`;
      const other = first.get(key) ?? upstream;
      first.set(key, other);
      if (other === upstream || warned.has(upstream) || haveSameServers(other, upstream)) continue;
      warned.add(upstream);
      warn(
        [...upstream.at, 'sticky', 'cookie'],
        `upstream ${quote(other.name)} (${describePlace(document, other.at)}) sets ${quote(cookie)} for the same host: a client that uses both ` +
          'loses its server at each change; expected another name',
      );
    }
  }
}

/** Then a cookie of one leads to the same server in the other. */
function haveSameServers(one: DraftUpstream, other: DraftUpstream): boolean {
  const texts = new Set(one.servers.map(({ address, port }) => `${address?.text} ${port}`));
  return other.servers.every(({ address, port }) => texts.has(`${address?.text} ${port}`));
}
