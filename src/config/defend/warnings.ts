/** Likely mistakes in the sections `defend` that are allowed: what would hit real clients, the fleet itself, or nobody. */
import { BROWSER_CONNECTIONS, BROWSER_PACKETS_PER_SECOND, DEFEND_PER_MS_DEFAULT } from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { type IpPrefix, prefixContains, prefixesOverlap } from '../../packet/address.js';
import type { Draft, DraftDefend, DraftDefendOtherwise, Entry } from '../draft.js';
import { formatPath, quote } from '../path.js';
import { isPath, type Report } from '../problems.js';
import type { Role } from '../types.js';
import { cookiesIn, ruled, sectionsOf } from './resolve.js';
import type { CookieSecrets } from './types.js';

export function warnAboutDefend(draft: Draft, warn: Report): void {
  const { defend, pools, services } = draft;
  for (const section of [defend, ...[...pools, ...services].map((each) => each.defend)])
    if (section !== undefined) warnAboutLowRates(section, warn);
  warnAboutCookies(draft, warn);
  if (defend === undefined) return;
  warnAboutTwice(defend, warn);
  warnAboutBlocked(draft, defend, warn);
}

/** A limit that one person with a browser reaches. */
function warnAboutLowRates({ sourceRate }: DraftDefend | DraftDefendOtherwise, warn: Report): void {
  if (sourceRate === undefined || sourceRate.mode === 'off') return;
  const { at, packets, syn, perMs = DEFEND_PER_MS_DEFAULT } = sourceRate;
  if (syn !== undefined && syn < BROWSER_CONNECTIONS)
    warn(
      [...at, 'syn'],
      `${syn} in ${formatDuration(perMs)}: a browser opens ${BROWSER_CONNECTIONS} connections at once, and many people share an address`,
    );
  const needed = Math.ceil((BROWSER_PACKETS_PER_SECOND * Math.min(perMs, 1000)) / 1000);
  if (packets !== undefined && packets < needed)
    warn(
      [...at, 'packets'],
      `${packets} in ${formatDuration(perMs)}: a browser that loads one page sends ${needed}, and many people share an address`,
    );
}

/** Cookies that nobody would take. */
function warnAboutCookies(draft: Draft, warn: Report): void {
  const warned = new Set<string>();
  for (const service of draft.services) {
    if (service.protocol !== 'tcp') continue;
    const found = ruled(sectionsOf(service, draft), ({ synCookies }) => synCookies && cookiesIn(synCookies));
    if (found === undefined || found.mode === 'off' || found.rule.when === 'off') continue;
    const pool = draft.pools.find(({ name }) => name === service.pool);
    if (pool === undefined || warned.has(pool.name)) continue;
    if (pool.backends.length === 0 || pool.backends.some(({ agent }) => agent)) continue;
    warned.add(pool.name);
    warn(
      service.at,
      `syn_cookies is on, and no backend of pool ${quote(pool.name)} has an agent to take cookies (agent: false): SYNs above the ` +
        'threshold are only limited',
    );
  }
}

function prefixesIn(list: DraftDefend['allow']): Entry<IpPrefix>[] {
  return (list ?? []).flatMap(({ at, value }) => ('file' in value ? [] : { at, value }));
}

function warnAboutTwice({ allow, block }: DraftDefend, warn: Report): void {
  const allowed = new Set(prefixesIn(allow).map(({ value }) => value.text));
  for (const { at, value } of prefixesIn(block))
    if (allowed.has(value.text)) warn(at, `${value.text} is in allow too, which wins`);
}

/** What the fleet itself sends from. */
function warnAboutBlocked({ pools, node, agent }: Draft, { block, allow }: DraftDefend, warn: Report): void {
  const allowed = prefixesIn(allow);
  const backends = pools.flatMap((pool) => pool.backends);
  const forwarders = [...(node?.sources ?? []), ...(agent?.forwarders ?? [])];
  for (const { at, value } of prefixesIn(block)) {
    if (value.length === 0) {
      warn(
        at,
        `${value.text} blocks every ${value.address.family === 4 ? 'IPv4' : 'IPv6'} client that allow does not name`,
      );
      continue;
    }
    const isAllowed = (address: IpPrefix['address']): boolean =>
      allowed.some((entry) => entry.value.length >= value.length && prefixContains(entry.value, address));
    const backend = backends.find(
      ({ address }) => address !== undefined && prefixContains(value, address) && !isAllowed(address),
    );
    if (backend !== undefined)
      warn(
        at,
        `${value.text} covers ${formatPath(backend.at)} (${backend.address!.text}): that backend reaches no service any more`,
      );
    const forwarder = forwarders.find(
      (entry) => prefixesOverlap(value, entry.value) && !isAllowed(entry.value.address),
    );
    if (forwarder === undefined) continue;
    const where = isPath(forwarder.at) ? formatPath(forwarder.at) : forwarder.at.name;
    warn(at, `${value.text} covers forwarders (${where}, ${forwarder.value.text})`);
  }
}

/** Of an agent whose host has no key: it could not take a cookie. */
export function warnAboutMissingKey(
  draft: Draft,
  role: Role,
  cookies: CookieSecrets | undefined,
  warn: Report,
): void {
  if (role !== 'agent' || cookies === undefined || draft.defend?.written.has('cookie_key_file')) return;
  if (cookies.fleet !== undefined) return;
  warn(
    [...(draft.defend?.at ?? ['defend']), 'cookie_key_file'],
    'missing, and this host has no secret of the fleet (node.key_file): its agent takes no SYN cookies; give every node and backend one file',
  );
}
