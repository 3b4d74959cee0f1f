/** What the checks of a backend say together: it is up when all of them pass. Pure. */
import { checkNames } from '../config/check-names.js';
import type { HealthConfig } from '../config/types.js';

/** What a check says, or all checks of a backend. What else is known of a backend is in its mark (node/marks.ts). */
export interface CheckResult {
  readonly isUp: boolean;
  /** For a log line, without a full stop: of one that is down the last failure. */
  readonly reason: string;
}

export interface Combined extends CheckResult {
  /** Which check takes the backend down: of several the first in the order of the file. -1 when it is up. */
  readonly failing: number;
}

/**
 * @param results what each check says; undefined before its first result
 * @param checks as many, in the order of the file, 1 or more
 * @returns undefined until each check has its first result
 */
export function combine(
  results: readonly (CheckResult | undefined)[],
  checks: readonly HealthConfig[],
): Combined | undefined {
  const known = results.filter((result) => result !== undefined);
  if (known.length < checks.length) return undefined;
  const failing = known.findIndex(({ isUp }) => !isUp);
  if (checks.length === 1) return { ...known[0], failing };
  if (failing < 0) return { isUp: true, reason: 'all checks are good', failing };
  return { isUp: false, reason: `${checkNames(checks)[failing]}: ${known[failing].reason}`, failing };
}
