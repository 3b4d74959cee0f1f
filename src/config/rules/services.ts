/** Rules on services: each packet for a VIP must match one service with a pool, and no other machine may have the VIP. */
import { SERVICES_MAX } from '../../core/limits.js';
import { type IpAddress, prefixContains } from '../../packet/address.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftService } from '../draft.js';
import { nearest } from '../nearest.js';
import { formatPath, quote } from '../path.js';
import { formatPorts } from '../ports.js';
import { describePlace, type Report } from '../problems.js';
import { whyUnusable } from './address.js';
import { hostPrefix } from './pools.js';
import { Unique } from './unique.js';

export function checkServices(draft: Draft, document: ConfigDocument, report: Report): void {
  const { services, poolNames } = draft;
  if (services.length > SERVICES_MAX) {
    report(['services'], `found ${services.length} services; expected ${SERVICES_MAX} at most`);
  }
  const names = new Unique(document, report);
  for (const { at, name, pool, protocol, secondChance } of services) {
    if (secondChance && protocol === 'udp')
      report(
        [...at, 'second_chance'],
        'found on for a UDP service; expected off: UDP has no handshake that shows whose packet it is',
      );
    if (name !== undefined) names.add(name, [...at, 'name'], `the service name ${quote(name)}`);
    if (pool !== undefined && poolNames !== undefined && !poolNames.has(pool)) {
      const meant = nearest(pool, poolNames);
      const expected =
        meant === undefined ? 'expected the name of a pool under pools' : `did you mean ${quote(meant)}?`;
      report([...at, 'pool'], `found ${quote(pool)}, which is not a pool; ${expected}`);
    }
  }
  checkVips(draft, document, report);
  checkOverlaps(services, document, report);
}

function checkVips(draft: Draft, document: ConfigDocument, report: Report): void {
  const backends = new Map<string, readonly (string | number)[]>();
  for (const pool of draft.pools) {
    for (const { address, at } of [...pool.backends, ...(pool.prior ?? [])]) {
      if (address !== undefined && !backends.has(address.text)) backends.set(address.text, at);
    }
  }
  for (const service of draft.services) {
    const { vip } = service;
    if (vip === undefined) continue;
    const at = [...service.at, 'vip'];
    const why = whyUnusable(hostPrefix(vip));
    if (why !== undefined) report(at, `${why}; expected an address that clients can connect to`);
    const backend = backends.get(vip.text);
    if (backend !== undefined) {
      report(
        at,
        `${vip.text} is the address of ${formatPath(backend)} too (${describePlace(document, backend)}); ` +
          'expected an address that no backend has: GRE to that backend would look like client traffic',
      );
    }
    checkOutsideSource(draft, vip, at, document, report);
  }
}

function checkOutsideSource(
  draft: Draft,
  vip: IpAddress,
  at: readonly (string | number)[],
  document: ConfigDocument,
  report: Report,
): void {
  for (const source of draft.node?.sources ?? []) {
    if (!prefixContains(source.value, vip)) continue;
    report(
      at,
      `${vip.text} lies in the source ${source.value.text} (${describePlace(document, source.at)}); ` +
        'expected an address outside node.source',
    );
  }
}

/** Reports each service that overlaps an earlier one once, with the first one that it overlaps. */
function checkOverlaps(services: readonly DraftService[], document: ConfigDocument, report: Report): void {
  const groups = new Map<string, DraftService[]>();
  for (const service of services) {
    if (service.vip === undefined || service.protocol === undefined || service.ports === undefined) continue;
    const key = `${service.protocol} ${service.vip.text}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [service]);
    else group.push(service);
  }
  for (const group of groups.values()) {
    for (const [service, other] of overlaps(group)) {
      report(
        [...service.at, 'port'],
        `port ${formatPorts(service.ports!)} of ${service.vip!.text} ${service.protocol} overlaps port ` +
          `${formatPorts(other.ports!)} of service ${quote(other.name ?? '')} ` +
          `(${describePlace(document, [...other.at, 'port'])}); expected ports that no other service has`,
      );
    }
  }
}

/** Pairs (later, earlier). */
function* overlaps(group: readonly DraftService[]): Generator<[DraftService, DraftService]> {
  for (const [index, service] of group.entries()) {
    const { first, last } = service.ports!;
    for (let earlier = 0; earlier < index; earlier++) {
      const other = group[earlier];
      if (other.ports!.first > last || other.ports!.last < first) continue;
      yield [service, other];
      break;
    }
  }
}
