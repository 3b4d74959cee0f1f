/** Rules on the list of a pool's health checks: how many there may be, `none` alone, and no two alike. */
import { HEALTH_CHECKS_MAX } from '../../core/limits.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftHealth, DraftPool } from '../draft.js';
import type { FieldPath } from '../path.js';
import { describePlace, type Report } from '../problems.js';
import { endpointsOf, portOf, servicesOf } from './health.js';

export function checkHealthLists(draft: Draft, document: ConfigDocument, report: Report): void {
  for (const pool of draft.pools) {
    const checks = pool.health ?? [];
    if (checks.length < 2) continue;
    if (checks.length > HEALTH_CHECKS_MAX) {
      const at = [...pool.at, 'health'];
      report(at, `found ${checks.length} checks; expected ${HEALTH_CHECKS_MAX} at most`);
    }
    for (const { kind, at } of checks) {
      if (kind !== 'none') continue;
      report([...at, 'kind'], 'found none beside other checks; expected another kind, or no other check');
    }
    refuseEqualChecks(draft, pool, checks, document, report);
  }
}

function refuseEqualChecks(
  draft: Draft,
  pool: DraftPool,
  checks: readonly DraftHealth[],
  document: ConfigDocument,
  report: Report,
): void {
  const first = new Map<string, FieldPath>();
  for (const check of checks) {
    const request = requestOf(draft, pool, check);
    if (request === undefined) continue;
    const other = first.get(request);
    if (other === undefined) first.set(request, check.at);
    else {
      const place = describePlace(document, other);
      report(check.at, `found the check of ${place} again; expected another kind, port or request`);
    }
  }
}

/** What a check asks, and where, as a text; undefined for none, and where a mistake hides it. */
function requestOf(draft: Draft, pool: DraftPool, check: DraftHealth): string | undefined {
  const { kind, port, path, host, tls, payload, wrong } = check;
  if (kind === undefined || kind === 'none') return undefined;
  if (['port', 'path', 'host', 'payload'].some((field) => wrong.has(field))) return undefined;
  const services = servicesOf(draft, pool) ?? [];
  const target = kind === 'tunnel' ? endpointsOf(services, port) : (port ?? portOf(services));
  if (target === undefined) return undefined;
  const request =
    kind === 'http' ? [path, host] : kind === 'https' ? [path, host, tls?.serverName] : [payload];
  return JSON.stringify([kind, target, request]);
}
