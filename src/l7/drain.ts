/**
 * The stages of a proxy host's drain, pure: from what is known now to what is to be done next. drain-loop.ts asks and acts.
 *
 *   serving --asked on this host--> following --all forwarders drain it, or the deadline--> closing --> drained
 *     | ^                               |                                                      ^           |
 *     | +------- asked no longer -------+                                                      |           |
 *     +--------------- all forwarders drain it by themselves ----------------------------------+           |
 *     ^                                                                                                    |
 *     +-------------------- nobody drains it any more: HAProxy starts again -------------------------------+
 *
 * following: the host's mark makes the forwarders drain it, and HAProxy serves as before. closing: HAProxy takes no new connections, ends
 * those that it has, and cuts off what is left at its own deadline (hard-stop-after).
 */

export type Stage = 'serving' | 'following' | 'closing' | 'drained';

export interface DrainFacts {
  readonly nowMs: number;
  /** Since when somebody asks for it on this host: a command, or a signal to end. Undefined when nobody does. */
  readonly askedAtMs: number | undefined;
  readonly deadlineMs: number;
  /** Whether all forwarders drain this host, by its agent's report; undefined when the agent does not answer. */
  readonly allDrain: boolean | undefined;
  readonly isHaproxyRunning: boolean;
}

export interface Step {
  readonly stage: Stage;
  /** Why `closing` begins. */
  readonly because?: 'forwarders' | 'deadline';
}

/** The stage that comes next; the same stage when there is nothing to do. */
export function nextStage(
  stage: Stage,
  { nowMs, askedAtMs, deadlineMs, allDrain, isHaproxyRunning }: DrainFacts,
): Step {
  switch (stage) {
    case 'serving':
      if (askedAtMs !== undefined) return { stage: 'following' };
      return allDrain === true ? { stage: 'closing', because: 'forwarders' } : { stage };
    case 'following':
      if (askedAtMs === undefined) return { stage: 'serving' };
      if (allDrain === true) return { stage: 'closing', because: 'forwarders' };
      return nowMs - askedAtMs >= deadlineMs ? { stage: 'closing', because: 'deadline' } : { stage };
    case 'closing':
      return isHaproxyRunning ? { stage } : { stage: 'drained' };
    case 'drained':
      // An agent that does not answer says nothing.
      return askedAtMs === undefined && allDrain === false ? { stage: 'serving' } : { stage };
  }
}
