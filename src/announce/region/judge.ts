/**
 * From what the nodes say to what the DNS answers. Pure. For each host name, its regions get a weight, or count as down:
 *
 *   weight of a VIP      the weights of the nodes that announce it, together
 *   weight of a region   that of its weakest VIP: gdnsd answers a region's families together, or none
 *   up                   regions that have all VIPs of the host; when there is none, those that have one; when there is none of
 *                        these either, all: a try is better than a certain drop
 *
 * A region that is down has the weight of all its nodes, as they said it last, for the case that all regions are.
 */
import type { RegionConfig } from '../../config/announce/types.js';
import type { IpAddress } from '../../packet/address.js';
import type { NodeView } from './watched-node.js';

export interface HostState {
  readonly host: string;
  /** In the order of the config; those that have an address for the host. */
  readonly regions: readonly HostRegion[];
  /** None of the regions has any of the host's VIPs, and all are answered. */
  readonly failsOpen: boolean;
}

export interface HostRegion {
  readonly name: string;
  readonly vips: readonly IpAddress[];
  readonly isUp: boolean;
  /** At least 1. */
  readonly weight: number;
}

export function judge(regions: readonly RegionConfig[], view: (node: string) => NodeView): HostState[] {
  const carried = new Map(
    regions.map(({ name, nodes }) => [name, weightsOf(nodes.map((node) => view(node.name)))] as const),
  );
  const hosts = new Set(regions.flatMap(({ vips }) => vips.map(({ host }) => host)));
  return [...hosts].map((host) => {
    const having = regions.flatMap((region) => {
      const vips = region.vips.filter((each) => each.host === host).map(({ vip }) => vip);
      return vips.length === 0 ? [] : { region, vips };
    });
    // A node speaks for its own region only.
    const shares = having.map(({ region, vips }) =>
      vips.flatMap(({ text }) => carried.get(region.name)!.get(text) ?? []),
    );
    const whole = having.map(({ vips }, index) => shares[index]!.length === vips.length);
    const part = shares.map((each) => each.length > 0);
    const up = [whole, part].find((each) => each.includes(true));
    return {
      host,
      failsOpen: up === undefined,
      regions: having.map(({ region, vips }, index) => {
        const isUp = up === undefined || up[index]!;
        const weight = Math.min(...shares[index]!); // infinite for none
        return {
          name: region.name,
          vips,
          isUp,
          weight: Number.isFinite(weight) ? weight : fullWeight(region, view),
        };
      }),
    };
  });
}

/** The weight of each VIP that is announced. */
function weightsOf(views: readonly NodeView[]): Map<string, number> {
  const weights = new Map<string, number>();
  for (const view of views) {
    if (view.state !== 'heard') continue;
    const { vips, weight } = view.answer;
    const announced = new Set(vips.filter(({ state }) => state === 'announced').map(({ vip }) => vip));
    for (const vip of announced) weights.set(vip, (weights.get(vip) ?? 0) + weight);
  }
  return weights;
}

function fullWeight({ nodes }: RegionConfig, view: (node: string) => NodeView): number {
  return nodes.reduce((sum, { name, weight }) => {
    const seen = view(name);
    return sum + (seen.state === 'heard' ? seen.answer.weight : seen.state === 'lost' ? seen.weight : weight);
  }, 0);
}
