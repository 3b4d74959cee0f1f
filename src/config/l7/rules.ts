/** Rules on the section `l7` as a whole: names, the subkey, ports, and what only some roles need. Those on its parts are beside it. */
import { dirname, resolve } from 'node:path';
import { AGENT_REPORT_PORT_DEFAULT, L7_FRONTENDS_MAX, L7_UPSTREAMS_MAX } from '../../core/limits.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftL7 } from '../draft.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../name-fields.js';
import { type FieldPath, quote } from '../path.js';
import type { Report } from '../problems.js';
import { checkFrontend, checkServices } from './frontend-rules.js';
import type { Judge } from './judge.js';
import { warnAboutLayer4 } from './layer-4-warnings.js';
import { checkUpstream } from './upstream-rules.js';
import { warnAboutUpstreams } from './upstream-warnings.js';

export function checkL7(draft: Draft, document: ConfigDocument, report: Report, warn: Report): void {
  const { l7 } = draft;
  if (l7 === undefined) return;
  const judge: Judge = { document, report, warn };
  const { frontends = [], upstreams = [] } = l7;
  checkKey(draft, l7, judge);
  checkProcess(draft, l7, report);
  checkNames('frontend', frontends, L7_FRONTENDS_MAX, [...l7.at, 'frontends'], report);
  checkNames('upstream', upstreams, L7_UPSTREAMS_MAX, [...l7.at, 'upstreams'], report);
  checkServices(draft, frontends, judge);
  for (const frontend of frontends) checkFrontend(frontend, draft, l7.upstreams, judge);
  for (const upstream of upstreams) checkUpstream(upstream, draft, frontends, judge);
  warnAboutUpstreams(frontends, upstreams, judge);
  warnAboutLayer4(draft, l7, warn);
}

/** What only the process on a proxy host needs. */
export function checkL7Needs(draft: Draft, report: Report): void {
  const { l7, written } = draft;
  if (!written.has('l7')) {
    report(['l7'], 'missing; expected a mapping {frontends: ..., upstreams: ...}');
    return;
  }
  if (l7 === undefined) return;
  if (l7.frontends?.length === 0)
    report([...l7.at, 'frontends'], 'found an empty mapping; expected at least one frontend');
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

/** A broken-into proxy host must not know the secret of the fleet. */
function checkKey({ node }: Draft, l7: DraftL7, { document, report }: Judge): void {
  if (l7.written.has('key') && l7.written.has('key_file'))
    report([...l7.at, 'key_file'], 'found both key and key_file; expected one of the two', 'key');
  const pathOf = (file: string | undefined) => file && resolve(dirname(document.file), file);
  const same =
    l7.key !== undefined && l7.key.toLowerCase() === node?.key?.toLowerCase()
      ? 'key'
      : l7.keyFile !== undefined && pathOf(l7.keyFile) === pathOf(node?.keyFile)
        ? 'key_file'
        : undefined;
  if (same !== undefined)
    report(
      [...l7.at, same],
      `found the secret of the fleet (node.${same}), which proxy hosts must not have; expected the subkey of the tier: "anyhop l7 key" prints it`,
    );
}

function checkProcess({ agent }: Draft, l7: DraftL7, report: Report): void {
  if (l7.user === 'root')
    report([...l7.at, 'user'], 'found root; expected an ordinary user: HAProxy reads what strangers send');
  if (l7.healthPort === (agent?.reportPort ?? AGENT_REPORT_PORT_DEFAULT))
    report(
      [...l7.at, 'health_port'],
      `found ${l7.healthPort}, the port on which agents report (agent.report_port); expected another one`,
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
