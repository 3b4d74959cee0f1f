/** The engines that move packets on an interface, the fastest first, as `anyhop run` makes them. */
import { existsSync } from 'node:fs';
import type { NodeConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { AfXdpEngine } from './af_xdp/engine.js';
import { afXdpObstacle } from './af_xdp/obstacle.js';
import type { EngineCandidate, Obstacle } from './choose.js';
import { requireCapabilities } from './portable/capability.js';
import { PortableEngine } from './portable/engine.js';
import { pinDirectory } from './xdp/directory.js';
import { XdpEngine } from './xdp/engine.js';
import { xdpObstacle } from './xdp/obstacle.js';

export type EngineSettings = Pick<NodeConfig, 'bpffs' | 'busyPollUs'> & {
  readonly interface: string;
  readonly log: Logger;
};

export function engineCandidates(settings: EngineSettings): EngineCandidate[] {
  return [
    {
      name: 'xdp',
      obstacle: () => xdpObstacle(settings),
      create: () => new XdpEngine(settings),
    },
    {
      name: 'af_xdp',
      obstacle: () => afXdpObstacle(settings.interface),
      create: () => new AfXdpEngine(settings),
    },
    {
      name: 'portable',
      obstacle: async () => told(requireCapabilities) ?? stillInForce(settings),
      create: () => new PortableEngine(settings),
    },
  ];
}

/** An XDP program that forwards would leave nothing for libpcap to see. */
function stillInForce({ bpffs, interface: name }: EngineSettings): Obstacle | undefined {
  if (!existsSync(pinDirectory(bpffs, name))) return undefined;
  return {
    message: `the engine xdp of an earlier run still forwards on ${name}`,
    hint: `End that first: anyhop stop --interface ${name} --bpffs ${bpffs}`,
  };
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
