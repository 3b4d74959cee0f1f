/** Prefixes that somebody blocks or allows while the node runs: when that is refused, and how a failure is told. */
import { ControlError } from '../api/api.js';
import type { Config } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { reasonOf } from '../core/reason.js';

/** @throws ControlError 409 when no service looks at lists: it would do nothing */
export function requireLists({ defend }: Pick<Config, 'defend'>): void {
  if ([...(defend?.rules.values() ?? [])].some(({ lists }) => lists !== 'off')) return;
  throw new ControlError(409, 'ERR_DEFEND_OFF', 'no service of this node looks at lists', {
    hint:
      defend === undefined
        ? 'Write "defend: {mode: enforce}" into the config file, and reload.'
        : 'The config file has mode: off in its sections defend.',
  });
}

/** @throws ControlError 409 for too many, 503 for what cannot be put in force */
export async function runtimeChange<T>(change: () => Promise<T>): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (!(error instanceof AnyhopError))
      throw new ControlError(503, 'ERR_LISTS', `it is kept, and not in force yet: ${reasonOf(error)}`, {
        hint: 'The node tries again every 10 s.',
      });
    const { code, message, hint } = error;
    throw new ControlError(409, code, message, { hint });
  }
}
