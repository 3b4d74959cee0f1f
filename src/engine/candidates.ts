/** The engines that move packets on an interface, the fastest first, as `anyhop run` makes them. */
import type { NodeConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { AfXdpEngine } from './af_xdp/engine.js';
import { afXdpObstacle } from './af_xdp/obstacle.js';
import type { EngineCandidate, Obstacle } from './choose.js';
import { requireCapabilities } from './portable/capability.js';
import { PortableEngine } from './portable/engine.js';

export type EngineSettings = Pick<NodeConfig, 'bpffs' | 'busyPollUs'> & {
  readonly interface: string;
  readonly log: Logger;
};

export function engineCandidates(settings: EngineSettings): EngineCandidate[] {
  return [
    {
      name: 'af_xdp',
      obstacle: () => afXdpObstacle(settings.interface),
      create: () => new AfXdpEngine(settings),
    },
    {
      name: 'portable',
      obstacle: async () => told(requireCapabilities),
      create: () => new PortableEngine(settings),
    },
  ];
}

/** What a check throws, as an obstacle. */
function told(check: () => void): Obstacle | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    return error;
  }
}
