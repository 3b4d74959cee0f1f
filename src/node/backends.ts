/**
 * What a node follows of its backends, and what that says of them now. Each part follows the backends that it is given, and no
 * others; the pools decide which (node-pools.ts).
 *
 *   next hops, path MTUs --> path         checks, paths --> mark         agents --> connections --> drains
 */
import type { AgentReport } from '../agent/report.js';
import type { BackendConfig, LoadedConfig } from '../config/types.js';
import { AGENT_REPORT_PORT_DEFAULT } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { Probes } from '../health/probes.js';
import type { IpAddress } from '../packet/address.js';
import type { Path } from '../packet/path.js';
import type { Recipients } from '../pool/least-mtu.js';
import { markedBackends } from '../pool/membership.js';
import type { BackendFacts } from '../pool/states.js';
import { Agents } from './agents.js';
import { Drains } from './drains.js';
import { EngineHops } from './engine-hops.js';
import { NodeHealth } from './node-health.js';
import type { NodePools } from './node-pools.js';
import { Paths, pathOf } from './paths.js';
import type { Host } from './prepare.js';

export class Backends {
  readonly hops: EngineHops;
  readonly paths: Paths;
  readonly health: NodeHealth;
  readonly agents = new Agents();
  readonly drains: Drains;
  readonly #sources: { readonly source4: IpAddress | undefined; readonly source6: IpAddress | undefined };
  readonly #interfaceIndex: number;
  #recipients: Recipients | undefined;

  constructor(config: LoadedConfig<'run'>, host: Host, now: () => number, log: Logger) {
    const { node } = config;
    const { link, vipGuard } = host;
    this.#sources = { source4: node.source4?.address, source6: node.source6?.address };
    this.#interfaceIndex = link.index;
    this.hops = new EngineHops(link, this.#sources, log);
    this.paths = new Paths({ recipients: config, nextHop: (address) => this.hops.of(address), now, log });
    const probes = new Probes({ ...node, isLocal: (vip) => vipGuard.has(vip) });
    this.health = new NodeHealth(log, probes);
    const count = async (address: string) => connectionsOf(await this.agents.ask(address));
    this.drains = new Drains({ count, now, log });
  }

  /** What is in force now. @returns whether it has changed since the last call */
  follow({ file, pools, recipients }: Pick<NodePools, 'file' | 'pools' | 'recipients'>): boolean {
    if (this.#recipients === recipients) return false;
    this.#recipients = recipients;
    this.paths.follow(recipients);
    this.drains.follow(pools, file.services);
    this.agents.follow(markedBackends(pools), file.agent?.reportPort ?? AGENT_REPORT_PORT_DEFAULT);
    return true;
  }

  /** Undefined when packets cannot get there now. */
  path(backend: BackendConfig): Path | undefined {
    // A member of a remembered state may be of a family that the node has no source for any more.
    if (this.#sources[`source${backend.address.family}`] === undefined) return undefined;
    return this.paths.along(backend, pathOf(this.hops.of(backend.address.text), this.#interfaceIndex));
  }

  /** Why there is no next hop; undefined when there is one. */
  noWay({ address }: BackendConfig): string | undefined {
    return this.hops.of(address.text).reason;
  }

  /** Of a pool's backends that are followed. */
  facts(pool: string): BackendFacts {
    return {
      isDrained: (name) => this.drains.isDrained(pool, name),
      isReachable: (backend) => this.path(backend) !== undefined,
    };
  }

  async close(): Promise<void> {
    this.drains.close();
    this.agents.close();
    this.health.close();
    this.paths.close();
    await this.hops.close();
  }
}

/** TCP connections by service. */
function connectionsOf({ vips }: AgentReport): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { services } of vips)
    for (const [name, count] of Object.entries(services)) sums.set(name, (sums.get(name) ?? 0) + count);
  return sums;
}
