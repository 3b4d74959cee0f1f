/** What HAProxy and this process go by, to be compared: a reload that changes none of it changes nothing. */
import { isDeepStrictEqual } from 'node:util';
import { backendAddresses } from '../agent/fleet.js';
import type { L7Config } from '../config/l7/types.js';
import type { LoadedConfig } from '../config/types.js';

export interface Uses {
  /** With what was said of servers at runtime. */
  readonly tier: L7Config;
  readonly file: LoadedConfig<'l7'>;
}

/** Keys and certificates are not looked at: they are in what is rendered for HAProxy. */
export function sameUses(a: Uses, b: Uses): boolean {
  return isDeepStrictEqual(usedOf(a), usedOf(b));
}

function usedOf({ tier, file }: Uses): unknown {
  return [tier, file.agent, backendAddresses(file)];
}
