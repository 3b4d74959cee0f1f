/**
 * In what a node differs from its siblings. Nodes with one config and one opinion of the backends have the same owners, so a digest that
 * differs means that the same flow reaches another backend after a reroute.
 */
import { groupedBy } from './gather.js';
import type { Source } from './seen.js';

export interface Difference {
  /** `key` and `flow_hash`: nearly every flow goes elsewhere. `owners`: some do. `version`: nothing does by itself. */
  readonly what: 'key' | 'flow_hash' | 'owners' | 'version';
  readonly pool?: string;
  /** Siblings from which it differs. */
  readonly from: readonly string[];
}

/**
 * By label. Where most nodes agree, only the others differ; without a majority, every node does.
 * @param sources nodes that answer: an old answer is no difference
 */
export function differences(sources: readonly Source[]): Map<string, Difference[]> {
  const all = new Map<string, Difference[]>(sources.map(({ label }) => [label, []]));
  const compare = (
    what: Difference['what'],
    of: (source: Source) => string | undefined,
    pool?: string,
  ): void => {
    for (const { source, from } of outliers(sources, of))
      all.get(source.label)!.push({ what, ...(pool !== undefined && { pool }), from });
  };
  compare('key', ({ status }) => status.keyFingerprint);
  compare('flow_hash', ({ status }) => String(status.flowHashVersion));
  const digests = new Map(
    sources.map(({ label, status }) => [
      label,
      new Map(status.pools.map((pool) => [pool.name, pool.digests.owners])),
    ]),
  );
  const pools = new Set(sources.flatMap(({ status }) => status.pools.map(({ name }) => name)));
  for (const pool of pools) compare('owners', ({ label }) => digests.get(label)!.get(pool) ?? '', pool);
  compare('version', ({ status }) => status.version);
  return all;
}

/** Those whose value most others do not have. */
function outliers(
  sources: readonly Source[],
  of: (source: Source) => string | undefined,
): { source: Source; from: string[] }[] {
  const groups = groupedBy(sources, of);
  if (groups.size < 2) return [];
  const sizes = [...groups.values()].map((group) => group.length);
  const most = Math.max(...sizes);
  const hasMajority = sizes.filter((size) => size === most).length === 1;
  return sources.flatMap((source) => {
    const group = groups.get(of(source))!;
    if (hasMajority && group.length === most) return [];
    const others = hasMajority ? [...groups.values()].find(({ length }) => length === most)! : sources;
    return [{ source, from: others.filter((one) => of(one) !== of(source)).map(({ name }) => name) }];
  });
}
