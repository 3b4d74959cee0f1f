/** The node's HTTP listener, and what it measures for it: connects metrics.ts with the parts of a node. */
import type { ConfigFileStatus, DiscoveryStatus, FleetStatus } from '../api/status.js';
import { keyFingerprint } from '../config/key-fingerprint.js';
import type { LoadedConfig, NodeConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { dashboardPages } from '../dashboard/pages.js';
import { Listener } from '../web/listener.js';
import type { PagesSetup } from '../web/mail.js';
import type { Backends } from './backends.js';
import { CheckTimes } from './check-times.js';
import type { NodeDefence } from './defence.js';
import { type Measured, NodeMetrics } from './metrics.js';
import type { NodePools } from './node-pools.js';
import type { NodeReadiness } from './readiness.js';

export interface ListeningNode {
  readonly config: LoadedConfig<'run'>;
  readonly pools: NodePools;
  readonly backends: Backends;
  readonly readiness: NodeReadiness;
  readonly defence: NodeDefence;
  readonly configFile: () => ConfigFileStatus;
  /** Why what the node remembers is not kept; undefined when it is. */
  readonly unkept: () => string | undefined;
  /** How many views of nodes it goes by; undefined where it goes by its own alone. */
  readonly views: () => number | undefined;
  /** Undefined for a node whose config is in no store. */
  readonly fleet: () => FleetStatus | undefined;
  /** Empty where this node asks no source of backends. */
  readonly discovery: () => readonly DiscoveryStatus[];
  /** Undefined until the node forwards. */
  readonly forwarded: () => Measured | undefined;
  readonly log: Logger;
}

/** It listens at once, also while the node starts. */
export function listenFor(node: ListeningNode): Listener {
  const {
    config,
    pools,
    backends,
    readiness,
    defence,
    configFile,
    unkept,
    views,
    fleet,
    discovery,
    forwarded,
    log,
  } = node;
  const checks = new CheckTimes();
  backends.health.onCheck(checks.count);
  const metrics = new NodeMetrics({
    node: config.node,
    keyFingerprint: () => keyFingerprint(pools.file.node.key.reveal()),
    configFile,
    readiness: () => readiness.current(),
    unkept,
    views,
    fleet,
    discovery,
    checks,
    pools: () => pools.pools,
    pathReports: () => backends.paths.counts,
    agent: (address) => backends.agents.status(address),
    drain: (pool, backend) => backends.drains.status(pool, backend),
    defence: () => defence.measures(),
    forwarded,
  });
  return new Listener(config.node.metrics, {
    log,
    collect: () => metrics.collect(),
    pages: pagesOf(config.node),
  });
}

/** What the listener shows beside the metrics: the dashboard. */
export function pagesOf({ name, socket, siblings }: NodeConfig): PagesSetup {
  return dashboardPages({
    name,
    socket,
    siblings: siblings.map((each) => ({
      name: each.name,
      host: each.address.address.text,
      port: each.address.port,
    })),
  });
}
