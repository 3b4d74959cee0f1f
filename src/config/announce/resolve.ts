/** From a checked draft of the section `announce` to what the program uses; a file without it has the defaults. */
import { type Draft, type DraftAnnounce, type DraftService, valuesOf } from '../draft.js';
import type { MetricsConfig } from '../metrics/types.js';
import type { AnnounceConfig, AnnouncePlace, OwnRegion, RegionConfig, RegionTls } from './types.js';

/**
 * Needs drafts in which nothing is missing.
 * @param node name of this node, if the role knows it
 */
export function announceConfig(
  draft: DraftAnnounce,
  services: readonly DraftService[],
  node: string | undefined,
  tls: RegionTls | undefined,
  metrics: MetricsConfig | undefined,
): AnnounceConfig {
  const {
    vips: only,
    socket: _,
    certificate: __,
    caFile: ___,
    regions: named,
    regionReload,
    metrics: ____,
    ...values
  } = valuesOf(draft);
  const regions = (named ?? []).map(({ nets, ...region }) => ({ ...region, nets: nets ?? [] }));
  const region = node === undefined ? undefined : regionOf(regions, node);
  const all = new Map(services.map(({ vip }) => [vip!.text, vip!]));
  const chosen = only && new Set(only.map(({ text }) => text));
  const foreign = region === undefined ? NONE : vipsOfOthers(regions, region.name);
  return {
    ...values,
    vips: [...all.values()].filter(({ text }) => (chosen?.has(text) ?? true) && !foreign.has(text)),
    regions,
    region,
    regionReload: regionReload ?? REGION_RELOAD,
    tls,
    metrics,
  };
}

/** Reads everything anew and loses no question, where an extfile alone takes gdnsd two seconds. */
const REGION_RELOAD: readonly string[] = ['gdnsdctl', 'replace'];
const NONE: ReadonlySet<string> = new Set();

/** Every node of a fleet reads the same file: its name says where it is. */
function regionOf(regions: readonly RegionConfig[], node: string): OwnRegion | undefined {
  for (const { name, nodes } of regions) {
    const own = nodes.find((each) => each.name === node);
    if (own !== undefined) return { name, weight: own.weight };
  }
  return undefined;
}

function vipsOfOthers(regions: readonly RegionConfig[], own: string): ReadonlySet<string> {
  const others = regions.filter(({ name }) => name !== own);
  return new Set(others.flatMap(({ vips }) => vips.map(({ vip }) => vip.text)));
}

export function announcePlace(name: string, { node, announce }: Draft): AnnouncePlace {
  const sources = node && valuesOf(node).sources;
  const sourceOf = (family: 4 | 6) => sources?.find(({ address }) => address.family === family);
  return {
    node: name,
    nodeSocket: node?.socket ?? nodeSocketOf(name),
    socket: announce?.socket ?? announcerSocketOf(name),
    source4: sourceOf(4),
    source6: sourceOf(6),
    interface: node?.interface,
    localVips: node?.localVips ?? false,
  };
}

/** Where the control socket of a node is when its config does not say. */
export function nodeSocketOf(node: string): string {
  return `/run/anyhop/${node}.sock`;
}

/** The same of its announcer. */
export function announcerSocketOf(node: string): string {
  return `/run/anyhop/${node}-announce.sock`;
}
