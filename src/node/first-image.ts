/**
 * What an engine forwards by first, and from then on: the first image waits for next hops and checks; after it, a change of marks, next
 * hops, paths or addresses makes a new one.
 */

import type { Logger } from '../core/log.js';
import type { Engine } from '../engine/contract.js';
import type { Image } from '../image/read.js';
import { reachedBackends } from '../pool/membership.js';
import type { Backends } from './backends.js';
import type { NodeDefence } from './defence.js';
import type { Following } from './following.js';
import { Forwarding } from './forwarding.js';
import { warnAboutNarrowPaths } from './node-log.js';
import type { NodePools } from './node-pools.js';
import type { Host } from './prepare.js';
import type { NodeReadiness } from './readiness.js';
import { StoppedWhileStarting } from './signals.js';

export interface ImageParts {
  /** Whether the config leaves the choice of the engine to the node. */
  readonly isAuto: boolean;
  readonly host: Host;
  readonly backends: Backends;
  readonly pools: NodePools;
  readonly defence: NodeDefence;
  readonly readiness: NodeReadiness;
  readonly following: Following;
  readonly log: Logger;
}

/** What an engine starts with, and what makes what comes after it. */
export interface First {
  readonly image: Image;
  readonly lists: Uint8Array | undefined;
  readonly forwarding: Forwarding;
}

/**
 * Each engine reaches other backends.
 * @param awaited resolve when the first checks have results, and when lists are compiled
 * @param predecessor the image that the kernel forwards by already
 * @throws StoppedWhileStarting at a signal
 */
export async function firstImage(
  { isAuto, host, backends, pools, defence, readiness, following, log }: ImageParts,
  awaited: readonly Promise<void>[],
  engine: Engine,
  predecessor: Image | undefined,
): Promise<First> {
  const { macs, stop } = host;
  const { hops, health } = backends;
  await hops.use(engine);
  const reached = hops.resolve(reachedBackends(pools.pools));
  const stopped = stop.first.then((signal): never => {
    throw new StoppedWhileStarting(signal);
  });
  await Promise.race([Promise.all([reached, ...awaited]), stopped]);
  readiness.passed('nextHops');
  readiness.passed('health');
  if (isAuto) hops.requireReach();
  health.follow((backend) => backends.noWay(backend));
  pools.start();
  warnAboutNarrowPaths(pools.recipients, (address) => hops.of(address), log);
  const options = {
    served: () => pools.served(),
    macs: () => macs.current(),
    path: backends.path.bind(backends),
    takesCookies: defence.takesCookies,
    changed: () => following.changed(),
  };
  const forwarding = new Forwarding(options, predecessor, log);
  return { image: forwarding.image, lists: defence.lists, forwarding };
}

/** From now on changes make new images. */
export function followChanges(
  { host, backends, pools, readiness, following }: ImageParts,
  forwarding: Forwarding,
): void {
  const { hops, paths, health } = backends;
  const { macs, vipGuard } = host;
  health.onChange(() => pools.marksChanged());
  hops.onChange((changes) => paths.hopsChanged(changes));
  hops.onChange(() => health.refresh());
  paths.start(pools.file.node, () => void forwarding.refresh());
  // A bond that fails over gets another address, and frames for the former one are no longer ours.
  hops.onLinks((links) => {
    readiness.sawLinks(links);
    following.sawLinks(links);
    void macs.refresh(links).then((changed) => changed && forwarding.refresh());
    void vipGuard.look(pools.file);
  });
  health.refresh(); // what changed since the first image was built
}
