/**
 * Who may own slots: the eligible members of a pool state, and why these. A pure function of admin states, health
 * marks and weights; what it chose when too few are up is for the log and the metrics to say.
 */
import type { Member } from './state.js';

/**
 * How the eligible members were found:
 * - `normal`: up and active.
 * - `panic`: the share of active members that are up is below the threshold, so all active ones that can be reached count as up.
 * - `draining`: no active member is up; those that are up and draining own.
 * - `all_down`: nothing is up; all active members that can be reached count as up, for a try is better than a certain drop. Where
 *   none can be reached, all active members own, and their packets are dropped.
 * - `none`: no active member has weight and nothing is up; nobody owns.
 */
export type EligibilityMode = 'normal' | 'panic' | 'draining' | 'all_down' | 'none';

export interface Eligibility<M extends Member = Member> {
  readonly mode: EligibilityMode;
  /** In the order of the state. A member with weight 0 is never among them. */
  readonly members: readonly M[];
}

/**
 * `panicThreshold` is a share of the active members with weight, 0 (never) to 1. A member that is up and draining is
 * known to work, so with no active member up it is preferred to members that are not, whatever the threshold.
 */
export function eligibility<M extends Member>(state: readonly M[], panicThreshold = 0): Eligibility<M> {
  const weighted = state.filter((member) => member.weight > 0);
  const active = weighted.filter((member) => member.state === 'active');
  const up = active.filter((member) => member.health === 'up');
  if (up.length > 0) {
    return up.length / active.length < panicThreshold
      ? { mode: 'panic', members: active.filter(isReachable) }
      : { mode: 'normal', members: up };
  }
  const draining = weighted.filter((member) => member.health === 'up');
  if (draining.length > 0) return { mode: 'draining', members: draining };
  if (active.length === 0) return { mode: 'none', members: [] };
  const reachable = active.filter(isReachable);
  return { mode: 'all_down', members: reachable.length > 0 ? reachable : active };
}

/** Whether owners of this mode are found whatever the health marks say. */
export function ignoresMarks(mode: EligibilityMode): boolean {
  return mode === 'panic' || mode === 'all_down';
}

function isReachable({ unreachable }: Member): boolean {
  return unreachable !== true;
}
