/**
 * The stages of a proxy host's drain, pure: from what is known now to what is to be done next. drain-loop.ts asks and acts.
 *
 *   serving --asked on this host--> following --all forwarders drain it----------------------> closing --> drained
 *     | ^                               |  |                                                     ^ ^          |
 *     | +------- asked no longer -------+  +--the deadline--> unfollowed --all, or 10 s later----+ |          |
 *     +--------------- all forwarders begin to drain it by themselves -----------------------------+          |
 *     ^                                                                                                       |
 *     +---- nobody on this host asks any more, or a forwarder drains it no longer: HAProxy starts again ------+
 *
 * following: the host's mark makes the forwarders drain it, and HAProxy serves as before. unfollowed: it still does, but health checks
 * fail, so that forwarders which do not follow stop sending. closing: HAProxy takes no new connections, ends those that it has, and cuts
 * off what is left at its own deadline (hard-stop-after).
 *
 * A host that asked stays marked until HAProxy serves again, so forwarders send nothing before. For the same reason a host that serves and
 * was drained by all forwarders before it started does not close: it is told apart by `begun`.
 */

export type Stage = 'serving' | 'following' | 'unfollowed' | 'closing' | 'drained';

/** Time for the health checks of forwarders that do not follow, before HAProxy refuses connections. */
export const UNFOLLOWED_MS = 10_000;

/**
 * What the forwarders do, by the reports of this host's agent: `all` drain it, `some` send to it. `unknown`: the agent does not answer, or
 * has heard of no forwarder for long enough. `none`: this host is no backend, so there is nobody to wait for.
 */
export type Forwarders = 'all' | 'some' | 'unknown' | 'none';

export interface DrainFacts {
  readonly nowMs: number;
  /** Since when somebody asks for it on this host: a command, or a signal to end. Undefined when nobody does. */
  readonly askedAtMs: number | undefined;
  readonly deadlineMs: number;
  readonly forwarders: Forwarders;
  /** While it serves: forwarders sent to it, so that their drain is a new one. */
  readonly begun: boolean;
  /** While it is drained: whoever asked on this host, by command or by another program's mark, does no longer. */
  readonly isTakenBack: boolean;
  readonly isHaproxyRunning: boolean;
}

export type Cause = 'forwarders' | 'deadline' | 'nobody';

export interface Step {
  readonly stage: Stage;
  /** Why `closing` begins: all forwarders drain it, not all of them did in time, or no forwarder knows this host. */
  readonly because?: Cause;
}

/** The stage that comes next; the same stage when there is nothing to do. */
export function nextStage(stage: Stage, facts: DrainFacts): Step {
  const { nowMs, askedAtMs, deadlineMs, forwarders, begun, isTakenBack, isHaproxyRunning } = facts;
  switch (stage) {
    case 'serving':
      if (askedAtMs !== undefined) return { stage: 'following' };
      return begun && forwarders === 'all' ? { stage: 'closing', because: 'forwarders' } : { stage };
    case 'following':
    case 'unfollowed': {
      if (askedAtMs === undefined) return { stage: 'serving' };
      if (forwarders === 'all') return { stage: 'closing', because: 'forwarders' };
      if (forwarders === 'none') return { stage: 'closing', because: 'nobody' };
      const waitedMs = nowMs - askedAtMs;
      if (stage === 'following') return { stage: waitedMs >= deadlineMs ? 'unfollowed' : stage };
      return waitedMs >= deadlineMs + UNFOLLOWED_MS ? { stage: 'closing', because: 'deadline' } : { stage };
    }
    case 'closing':
      return isHaproxyRunning ? { stage } : { stage: 'drained' };
    case 'drained':
      if (askedAtMs !== undefined) return { stage };
      return isTakenBack || forwarders === 'some' ? { stage: 'serving' } : { stage };
  }
}
