/** Rules on the sections `defend`: limits that limit something, one window for all sources, and nothing of TCP for a UDP service. */
import { DEFEND_LIST_SOURCES_MAX, DEFEND_PER_MS_DEFAULT } from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftDefend, DraftDefendOtherwise, DraftService } from '../draft.js';
import type { FieldPath } from '../path.js';
import { describePlace, type Report } from '../problems.js';
import { cookiesIn } from './resolve.js';

type Section = DraftDefend | DraftDefendOtherwise;
type DraftSourceRate = NonNullable<Section['sourceRate']>;

export function checkDefend(draft: Draft, document: ConfigDocument, report: Report): void {
  const { defend, pools, services } = draft;
  const sections = [defend, ...[...pools, ...services].map((each) => each.defend)].flatMap(
    (section) => section ?? [],
  );
  for (const section of sections) checkSection(section, report);
  checkWindows(sections, document, report);
  for (const service of services) if (service.protocol === 'udp') refuseTcpRules(service, report);
  if (defend === undefined) return;
  for (const field of ['allow', 'block'] as const) {
    const { length } = defend[field] ?? [];
    if (length > DEFEND_LIST_SOURCES_MAX)
      report(
        [...defend.at, field],
        `found ${length} entries; expected ${DEFEND_LIST_SOURCES_MAX} at most: put prefixes into a file`,
      );
  }
}

function checkSection({ sourceRate, serviceRate }: Section, report: Report): void {
  if (sourceRate !== undefined) checkSourceRate(sourceRate, report);
  if (serviceRate !== undefined && serviceRate.mode !== 'off' && !serviceRate.written.has('syn'))
    report([...serviceRate.at, 'syn'], 'missing; expected what the backends can take, or mode: off');
}

function checkSourceRate({ at, written, mode, by, network }: DraftSourceRate, report: Report): void {
  const limits = ['packets', 'syn', 'network'];
  if (mode !== 'off' && !limits.some((field) => written.has(field)))
    report(at, `found no limit; expected one of ${limits.join(', ')}, or mode: off`);
  if (network === undefined) return;
  if (network.written.size === 0) report(network.at, 'found no limit; expected packets, syn, or both');
  if (by === 'network')
    report(
      network.at,
      'found with by: network, which makes every network one source already; expected only with by: address',
      'key',
    );
}

/** The sources of all services are counted by one clock. */
function checkWindows(sections: readonly Section[], document: ConfigDocument, report: Report): void {
  let first: { readonly at: FieldPath; readonly perMs: number } | undefined;
  for (const { sourceRate } of sections) {
    if (sourceRate === undefined || sourceRate.mode === 'off' || sourceRate.wrong.has('per')) continue;
    const { at, perMs = DEFEND_PER_MS_DEFAULT } = sourceRate;
    first ??= { at, perMs };
    if (perMs === first.perMs) continue;
    report(
      [...at, 'per'],
      `found ${formatDuration(perMs)}; expected ${formatDuration(first.perMs)} as in ${describePlace(document, first.at)}: all source_rate of a file have one window`,
    );
  }
}

function refuseTcpRules({ defend }: DraftService, report: Report): void {
  if (defend === undefined) return;
  const { at, serviceRate, synCookies } = defend;
  if (serviceRate !== undefined && serviceRate.mode !== 'off')
    report([...at, 'service_rate'], 'found for a UDP service; expected only for TCP: it counts SYNs', 'key');
  if (synCookies !== undefined && cookiesIn(synCookies).when !== 'off')
    report([...at, 'syn_cookies'], 'found for a UDP service; expected only for TCP', 'key');
}
