/** The engines that move packets on an interface, the fastest first, as `anyhop run` makes them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { attachedXdp } from '../ffi/bpf.js';
import { pinDirectory } from '../pins/directory.js';
import { readLinks } from '../underlay/link.js';
import { AfXdpEngine } from './af_xdp/engine.js';
import { afXdpObstacle } from './af_xdp/obstacle.js';
import type { EngineCandidate, Obstacle } from './choose.js';
import { requireCapabilities } from './portable/capability.js';
import { PortableEngine } from './portable/engine.js';
import { XdpEngine } from './xdp/engine.js';
import { xdpObstacle } from './xdp/obstacle.js';
import { FORWARD_PROGRAM } from './xdp/pinned-set.js';

export type EngineSettings = Pick<NodeConfig, 'bpffs' | 'busyPollUs' | 'localVips'> & {
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
async function stillInForce({ bpffs, interface: name }: EngineSettings): Promise<Obstacle | undefined> {
  const isPinned = existsSync(join(pinDirectory(bpffs, name), 'link'));
  if (!isPinned && !(await isForwarding(name))) return undefined;
  return {
    message: `the program of the engine xdp is still on ${name}`,
    hint: `End it first: anyhop stop --interface ${name} --bpffs ${isPinned ? bpffs : 'DIRECTORY, the one of that run'}`,
  };
}

/** Whether the program is there, pinned wherever. Where the native library cannot be used, nobody can have put it there. */
async function isForwarding(name: string): Promise<boolean> {
  const link = (await readLinks()).get(name);
  try {
    return link !== undefined && attachedXdp(link.index)?.name === FORWARD_PROGRAM;
  } catch (error) {
    if (error instanceof AnyhopError && error.code === 'ERR_NATIVE') return false;
    throw error;
  }
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
