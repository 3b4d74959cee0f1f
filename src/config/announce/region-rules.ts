/**
 * Rules on regions: what each part needs of the others, and that nothing is in two regions. The VIP of two regions would be anycast, among
 * which the routers choose and no DNS server.
 */
import { REGIONS_MAX } from '../../core/limits.js';
import type { IpPrefix } from '../../packet/address.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftAnnounce, DraftRegion } from '../draft.js';
import { formatEndpoint } from '../endpoint.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../name-fields.js';
import { nearest } from '../nearest.js';
import { type FieldPath, quote } from '../path.js';
import { type At, describePlace, type Report } from '../problems.js';
import { whyUnusable } from '../rules/address.js';
import type { Role } from '../types.js';

export function checkRegions({ announce }: Draft, document: ConfigDocument, report: Report): void {
  const { at, regions = [] } = announce ?? { at: [] };
  if (regions.length > REGIONS_MAX)
    report([...at, 'regions'], `found ${regions.length} regions; expected ${REGIONS_MAX} at most`);
  const firsts = new Firsts(document, report);
  for (const region of regions) checkRegion(region, firsts, report);
}

function checkRegion(
  { at, name, nodes, vips, nets = [] }: DraftRegion,
  firsts: Firsts,
  report: Report,
): void {
  if (!NAME_PATTERN.test(name)) report(at, `found the name ${quote(name)}; expected ${NAME_EXPECTED}`, 'key');
  for (const node of nodes) {
    if (node.name !== undefined) firsts.add('node', node.name.toLowerCase(), [...node.at, 'name']);
    if (node.address === undefined) continue;
    const place = [...node.at, 'address'];
    const why = whyUnusableHost(node.address.address);
    if (why !== undefined) report(place, `${why}; expected the address of a node`);
    else firsts.add('address', formatEndpoint(node.address), place);
  }
  for (const { at: entry, vip } of vips) {
    if (vip === undefined) continue;
    const place = [...entry, 'vip'];
    const why = whyUnusableHost(vip);
    if (why !== undefined) report(place, `${why}; expected a VIP`);
    else firsts.add('VIP', vip.text, place);
  }
  for (const net of nets) firsts.add('prefix', net.value.text, net.at);
}

/** A test on one machine may have nodes on its loopback addresses. */
function whyUnusableHost(address: IpPrefix['address']): string | undefined {
  const { family } = address;
  const why = whyUnusable({ address, length: family === 4 ? 32 : 128, text: address.text });
  return why?.endsWith(' loopback') ? undefined : why;
}

/** Reports what is there a second time, in whatever region. */
class Firsts {
  readonly #document: ConfigDocument;
  readonly #report: Report;
  readonly #seen = new Map<string, At>();

  constructor(document: ConfigDocument, report: Report) {
    this.#document = document;
    this.#report = report;
  }

  add(kind: string, value: string, at: At): void {
    const first = this.#seen.get(`${kind} ${value}`);
    if (first === undefined) this.#seen.set(`${kind} ${value}`, at);
    else
      this.#report(
        at,
        `the ${kind} ${quote(value)} is in a region already (${describePlace(this.#document, first)}); expected each ${kind} once`,
      );
  }
}

/** What `anyhop announce` and the DNS host need. @param node name of this node, if the role knows it */
export function checkRegionNeeds(
  announce: DraftAnnounce | undefined,
  role: Role,
  node: string | undefined,
  report: Report,
): void {
  const at: FieldPath = announce?.at ?? ['announce'];
  const need = (field: string, expected: string): void => {
    if (!announce?.written.has(field)) report([...at, field], `missing; expected ${expected}`);
  };
  const needTls = (): void => {
    need('certificate', 'the path of the file with certificate and private key of this host');
    need('ca_file', 'the path of the file with the certificates of those who sign the others');
  };
  if (role === 'region' || role === 'regions') {
    need('regions', 'a mapping of regions by name');
    if (announce?.regions?.length === 0)
      report([...at, 'regions'], 'found no region; expected a mapping of regions by name');
    if (role === 'region') needTls();
  }
  if (role !== 'announce' || announce === undefined) return;
  const { written, wrong, regions = [] } = announce;
  if (written.has('listen')) {
    need('regions', 'the region of this node: {NAME: {nodes: [...], vips: [...]}}');
    needTls();
  }
  if (wrong.has('regions') || regions.length === 0 || node === undefined) return;
  const nodes = regions.flatMap((region) => region.nodes);
  if (nodes.every(({ name }) => name !== undefined && name !== node))
    report([...at, 'regions'], `no region has a node of the name of this one, ${quote(node)}`);
}

/**
 * What the region of a node can never have: a VIP that the node does not announce, so the DNS never answers this region for its host.
 * @param node name of this node
 */
export function warnAboutRegionVips(
  { announce, services }: Draft,
  node: string | undefined,
  warn: Report,
): void {
  const own = announce?.regions?.find(({ nodes }) => nodes.some(({ name }) => name === node));
  if (announce === undefined || own === undefined || node === undefined) return;
  const served = new Set(services.flatMap(({ vip }) => vip?.text ?? []));
  const chosen = announce.vips && new Set(announce.vips.map(({ value }) => value.text));
  const others = new Set(announce.regions?.flatMap(({ vips }) => vips.flatMap(({ vip }) => vip?.text ?? [])));
  for (const { at, vip, host = '' } of own.vips) {
    if (vip === undefined || (served.has(vip.text) && (chosen?.has(vip.text) ?? true))) continue;
    const meant = nearest(vip.text, new Set([...served].filter((text) => !others.has(text))));
    const why = served.has(vip.text) ? 'which announce.vips leaves out' : 'which no service has';
    const hint = meant === undefined ? '' : `; did you mean ${quote(meant)}?`;
    warn(
      [...at, 'vip'],
      `found ${vip.text}, ${why}: ${node} does not announce it, and ${host} gets nothing from region ${own.name}${hint}`,
    );
  }
}
