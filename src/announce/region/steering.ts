/**
 * A DNS host's side: asks the nodes of all regions, judges what they say, and keeps what the DNS server reads. Nothing is written before
 * each node was heard or has had its time: a half-known first file would take regions out that are well.
 */
import type { AnnounceConfig, RegionTls } from '../../config/announce/types.js';
import { REGION_ASK_MS } from '../../core/limits.js';
import type { Logger } from '../../core/log.js';
import { type HostState, judge } from './judge.js';
import { type NodeView, WatchedNode } from './watched-node.js';

export interface SteeringConfig extends Pick<AnnounceConfig, 'regions'> {
  readonly tls: RegionTls;
}

export class RegionSteering {
  readonly #log: Logger;
  readonly #take: (hosts: readonly HostState[]) => void;
  #config: SteeringConfig;
  #nodes = new Map<string, WatchedNode>();
  #views = new Map<string, NodeView>();
  #hosts: readonly HostState[] = [];

  /** @param take gets each judgement that differs from the one before it */
  constructor(config: SteeringConfig, take: (hosts: readonly HostState[]) => void, log: Logger) {
    this.#log = log;
    this.#take = take;
    this.#config = config;
    this.#watch();
  }

  /** Undefined for a node that is not in the config. */
  viewOf(node: string): NodeView | undefined {
    return this.#nodes.get(node)?.view;
  }

  /** Goes by another config; what was said last stays until its nodes are known. */
  replace(config: SteeringConfig): void {
    this.#config = config;
    this.#watch();
  }

  close(): void {
    for (const node of this.#nodes.values()) node.close();
  }

  #watch(): void {
    this.close();
    const { regions, tls } = this.#config;
    const all = regions.flatMap(({ name, nodes }) => nodes.map((node) => ({ node, region: name })));
    const nodes = all.map(({ node, region }, index) => {
      const delayMs = (index * REGION_ASK_MS) / all.length;
      const watched = new WatchedNode(node, region, tls, delayMs, () => this.#nodeChanged(region, watched));
      return [node.name, watched] as const;
    });
    this.#nodes = new Map(nodes);
  }

  #nodeChanged(region: string, { node: { name: node }, view }: WatchedNode): void {
    const before = this.#views.get(node);
    this.#views.set(node, view);
    if (view.state === 'lost' && before?.state !== 'lost')
      this.#log.warn(
        { event: 'region_node_lost', node, region, why: view.why },
        `node ${node} of region ${region} counts as not ready: ${view.why}`,
      );
    if (view.state === 'heard' && before?.state !== 'heard')
      this.#log.info(
        { event: 'region_node_heard', node, region, ready: view.answer.ready },
        `node ${node} of region ${region} answers, and is ${view.answer.ready ? 'ready' : 'not ready'}`,
      );
    this.#judge();
  }

  #judge(): void {
    if ([...this.#nodes.values()].some(({ view }) => view.state === 'unknown')) return;
    const hosts = judge(this.#config.regions, (name) => this.#nodes.get(name)?.view ?? { state: 'unknown' });
    if (JSON.stringify(hosts) === JSON.stringify(this.#hosts)) return;
    this.#tell(this.#hosts, hosts);
    this.#hosts = hosts;
    this.#take(hosts);
  }

  #tell(before: readonly HostState[], now: readonly HostState[]): void {
    for (const { host, regions, failsOpen } of now) {
      const former = before.find((each) => each.host === host);
      if (failsOpen && former?.failsOpen !== true)
        this.#log.error(
          { event: 'regions_open', host },
          `no region has any VIP of ${host} announced: the DNS answers all of them, since a try is better than a certain drop`,
        );
      for (const { name, isUp, weight } of regions) {
        const was = former?.regions.find((each) => each.name === name);
        if (was?.isUp === isUp && was.weight === weight) continue;
        const fields = { event: 'region', region: name, host, up: isUp, weight } as const;
        const text = `region ${name} is ${isUp ? `up for ${host}, with weight ${weight}` : `down for ${host}`}`;
        if (isUp) this.#log.info(fields, text);
        else this.#log.warn(fields, text);
      }
    }
  }
}
