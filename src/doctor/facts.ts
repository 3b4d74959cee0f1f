/**
 * What the checks of one place look at. Each fact is asked for once, when the first check needs it, and shared: some thirty checks take
 * little more than the slowest of them.
 */

import type { NodeStatus } from '../api/status.js';
import type { BackendConfig, Config, LoadedConfig, NodeConfig, ServiceConfig } from '../config/types.js';
import type { NodeEngine } from '../core/engines.js';
import type { AttachedXdp } from '../ffi/bpf.js';
import type { IpAddress } from '../packet/address.js';
import { type Link, readLinks } from '../underlay/link.js';
import { askAgents } from './agents.js';
import { Unseen, type Where } from './check.js';
import type { Host } from './host.js';
import { readRuleset } from './nft.js';
import { routesOf, unreachedOf } from './sources.js';

/** A member of a pool. */
export interface Target extends BackendConfig {
  readonly pool: string;
}

/** What this host is, and by which config. */
export interface Place {
  readonly where: Where;
  /** Of the node, or of the backends that this host is. */
  readonly name: string;
  readonly config: Config & Pick<LoadedConfig, 'warnings'>;
  /** Empty for a router. */
  readonly interface: string;
  /** For a forwarder: those that it sends to and that are asked for. For a backend or a proxy host: those that it is. */
  readonly targets: readonly Target[];
  /** Of a proxy host: the same file, read for the layer-7 tier. */
  readonly tier?: LoadedConfig<'l7'>;
  /** Asks the node that runs here; undefined when none does. */
  readonly status: () => Promise<NodeStatus | undefined>;
}

export class Facts {
  readonly host: Host;
  readonly place: Place;
  readonly links = once(() => readLinks(this.host.run));
  readonly status = once(() => this.place.status());
  /** What the agents of the targets say, in their order; of a forwarder. */
  readonly agents = once(() => askAgents(this));
  /** The kernel's routes to the targets; of a forwarder. */
  readonly routes = once(() => routesOf(this));
  /** Addresses of targets that nothing can be sent to; of a forwarder. */
  readonly unreached = once(() => unreachedOf(this));
  readonly ruleset = once(() => readRuleset(this.host.run));
  /** The services of the pools that the targets are in. */
  readonly services: readonly ServiceConfig[];

  constructor(host: Host, place: Place) {
    this.host = host;
    this.place = place;
    const pools = new Set(place.targets.map(({ pool }) => pool));
    this.services = place.config.services.filter(({ pool }) => pools.has(pool));
  }

  /** `net/ipv4/ip_forward`; undefined when the kernel, or this network namespace, has no such setting. */
  sysctl(path: string): number | undefined {
    const text = this.host.read(`/proc/sys/${path}`);
    return text === undefined || text === '' ? undefined : Number(text);
  }

  /** A setting that the kernel takes the larger of: of the interface, or of all. */
  interfaceSysctl(family: 4 | 6, name: string, networkInterface = this.place.interface): number {
    const of = (which: string): number => this.sysctl(`net/ipv${family}/conf/${which}/${name}`) ?? 0;
    return Math.max(of('all'), of(networkInterface));
  }

  /** @throws Unseen when it is not there; a check of its own says that */
  async link(): Promise<Link> {
    const link = (await this.links()).get(this.place.interface);
    if (link === undefined) throw new Unseen(`there is no interface ${this.place.interface}`);
    return link;
  }

  /** Whether it is a network card; virtual devices have no rings and no interrupts. */
  async isCard(): Promise<boolean> {
    return (await this.link()).kind === undefined;
  }

  /** The XDP program on the interface. */
  async attached(): Promise<AttachedXdp | undefined> {
    return this.host.attachedXdp((await this.link()).index);
  }

  /** That moves the packets, or would. */
  async engine(): Promise<NodeEngine> {
    const running = (await this.status())?.engine.name;
    if (running !== undefined) return running as NodeEngine;
    const choice = this.node.engine;
    return choice === 'auto' ? 'xdp' : choice;
  }

  /** Whether an XDP program of ours is, or would be, on the interface. */
  async usesXdp(): Promise<boolean> {
    if (this.place.where === 'forwarder') return (await this.engine()) !== 'portable';
    return this.place.targets.some(({ agent }) => agent);
  }

  /** Of a forwarder. */
  get node(): NodeConfig {
    return this.place.config.node!;
  }

  /** Of all services, each once. */
  vips(services: readonly ServiceConfig[] = this.services): readonly IpAddress[] {
    return [...new Map(services.map(({ vip }) => [vip.text, vip])).values()];
  }
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => (asked ??= ask());
}
