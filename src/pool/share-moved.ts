/** What flows notice when another pool takes the place of theirs, and remembers nothing of it. */
import type { PoolConfig } from '../config/types.js';
import { planPool } from './plan.js';
import { statesOfConfig } from './states.js';

/** The share of flows, 0 to 1, that change backends; all backends up. */
export function shareMoved(from: PoolConfig, to: PoolConfig): number {
  const [before, after] = [from, to].map((pool) => statesOfConfig({ ...pool, prior: undefined }));
  return planPool(before, after, to.settleMs).flows[0].udpMove;
}
