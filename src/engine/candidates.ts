/** The engines that a node can run, and the only place that knows all of them. */
import { NODE_ENGINES, type NodeEngine } from '../core/engines.js';
import type { Logger } from '../core/log.js';
import type { Place } from '../pins/directory.js';
import { AfXdpEngine } from './af_xdp/engine.js';
import { requireAfXdp } from './af_xdp/requirements.js';
import type { EngineCandidate } from './choose.js';
import type { EngineKind, EngineSettings, Removed } from './contract.js';
import { PortableEngine } from './portable/engine.js';
import { requirePortable } from './portable/requirements.js';
import { XdpEngine } from './xdp/engine.js';
import { xdpLeft } from './xdp/left.js';
import { requireXdp } from './xdp/requirements.js';

const KINDS: Readonly<Record<NodeEngine, EngineKind>> = {
  xdp: {
    prepare: async (settings) => new XdpEngine(settings, await requireXdp(settings)),
    left: xdpLeft,
  },
  af_xdp: {
    async prepare(settings) {
      await requireAfXdp(settings);
      return new AfXdpEngine(settings);
    },
  },
  portable: {
    async prepare(settings) {
      requirePortable();
      return new PortableEngine(settings);
    },
  },
};

/** The fastest first. */
export function engineCandidates(settings: EngineSettings): EngineCandidate[] {
  return NODE_ENGINES.map((name) => ({
    name,
    async prepare() {
      const engine = await KINDS[name].prepare(settings);
      for (const other of NODE_ENGINES) if (other !== name) await KINDS[other].left?.requireNone(settings);
      return engine;
    },
  }));
}

/** Ends what an engine has left in force on an interface; see `LeftBehind.remove`. */
export async function removeForwarding(place: Place, log: Logger): Promise<Removed | undefined> {
  for (const name of NODE_ENGINES) {
    const removed = await KINDS[name].left?.remove(place, log);
    if (removed !== undefined) return removed;
  }
  return undefined;
}
