/**
 * What a node follows of its backends, and what that says of them now. Each part follows the backends that it is given, and no
 * others; the pools decide which (node-pools.ts).
 *
 *   next hops, path MTUs --> way          checks, ways --> mark          agents --> connections --> drains
 */
import type { AgentReport } from '../agent/report.js';
import type { BackendConfig, LoadedConfig } from '../config/types.js';
import { AGENT_REPORT_PORT_DEFAULT } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { Probes } from '../health/probes.js';
import { type Membership, markedBackends, reachedBackends } from '../pool/membership.js';
import type { BackendFacts } from '../pool/remembered.js';
import { Agents } from './agents.js';
import type { Way } from './assemble.js';
import { Drains } from './drains.js';
import { EngineHops } from './engine-hops.js';
import { marksIn } from './memory.js';
import { NodeHealth } from './node-health.js';
import type { NodePools } from './node-pools.js';
import { Paths } from './paths.js';
import type { Host } from './prepare.js';
import { wayOf } from './way.js';

export class Backends {
  readonly hops: EngineHops;
  readonly paths: Paths;
  readonly health: NodeHealth;
  readonly agents = new Agents();
  readonly drains: Drains;
  readonly #interfaceIndex: number;
  #config: LoadedConfig<'run'> | undefined;

  constructor(config: LoadedConfig<'run'>, host: Host, now: () => number, log: Logger) {
    const { node } = config;
    const { link, localVips, memory } = host;
    const sources = { source4: node.source4?.address, source6: node.source6?.address };
    this.#interfaceIndex = link.index;
    this.hops = new EngineHops(link, sources, log);
    this.paths = new Paths({ config, nextHop: (address) => this.hops.of(address), now, log });
    const probes = new Probes({ ...node, isLocal: (vip) => localVips.has(vip) });
    this.health = new NodeHealth(marksIn(memory), log, now, probes);
    const count = async (address: string) => connectionsOf(await this.agents.ask(address));
    this.drains = new Drains({ count, now, log });
  }

  /** What is in force now. @returns whether it has changed since the last call */
  follow({ config, pools }: Pick<NodePools, 'config' | 'pools'>): boolean {
    if (this.#config === config) return false;
    this.#config = config;
    this.paths.follow(config);
    this.drains.follow(pools, config.services);
    this.agents.follow(markedBackends(pools), config.agent?.reportPort ?? AGENT_REPORT_PORT_DEFAULT);
    return true;
  }

  /** Undefined when packets cannot get there now. */
  way(backend: BackendConfig): Way | undefined {
    return this.paths.along(backend, wayOf(this.hops.of(backend.address.text), this.#interfaceIndex));
  }

  /** Why there is no next hop; undefined when there is one. */
  noWay({ address }: BackendConfig): string | undefined {
    return this.hops.of(address.text).reason;
  }

  /** Of a pool's backends. */
  facts(pool: string, pools: Membership): BackendFacts {
    const known = reachedBackends(pools).filter((each) => each.pool.name === pool);
    // The one in force is the first of its name.
    const byName = new Map(known.map(({ backend }) => [backend.name, backend] as const).reverse());
    return {
      isDrained: (name) => this.drains.isDrained(pool, name),
      isReachable: (name) => {
        const backend = byName.get(name);
        return backend === undefined || this.way(backend) !== undefined; // one still to come is not followed yet
      },
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
