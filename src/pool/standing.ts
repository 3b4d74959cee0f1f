/** How a backend stands: by its checks, and by whether packets get there. */
import type { Health } from '../table/state.js';

export interface Standing {
  readonly health: Health;
  /** No packet gets there, so it is not up. */
  readonly unreachable?: true | undefined;
}

export const UP: Standing = { health: 'up' };
const DOWN: Standing = { health: 'down' };
const DEAD: Standing = { health: 'dead' };
const UNREACHABLE: Standing = { health: 'down', unreachable: true };
const UNREACHABLE_DEAD: Standing = { health: 'dead', unreachable: true };

/** One of few objects, for a pool has thousands of backends. */
export function standing(health: Health, isReachable: boolean): Standing {
  if (!isReachable) return health === 'dead' ? UNREACHABLE_DEAD : UNREACHABLE;
  return health === 'up' ? UP : health === 'down' ? DOWN : DEAD;
}
