/**
 * A proxy host's drain, step by step (drain.ts): asks this host's agent what the forwarders do, keeps the host's mark, and ends and starts
 * HAProxy. Runs every second, from when HAProxy serves: a mark that a former process left is removed then.
 */
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { formatDuration } from '../core/time.js';
import type { IpAddress } from '../packet/address.js';
import { type Cause, nextStage, type Stage, type Step, UNFOLLOWED_MS } from './drain.js';
import { askAgent, KnownForwarders } from './forwarders.js';
import { OwnMark } from './own-mark.js';
import { Repeated } from './repeated.js';
import type { DrainStatus } from './status.js';
import type { Tier } from './tier.js';

const POLL_MS = 1_000;
/** HAProxy ends by itself at its deadline; this much later it is ended. */
const GRACE_MS = 10_000;
/** After HAProxy did not start. */
const RETRY_MS = 10_000;

export class DrainLoop {
  readonly #tier: Tier;
  readonly #locals: () => readonly IpAddress[];
  readonly #log: Logger;
  readonly #mark: OwnMark;
  readonly #steps = new Rerun(() => this.#step());
  readonly #looks: Repeated;
  readonly #waiting = new Set<() => void>();
  #stage: Stage = 'serving';
  /** Why `closing` began. */
  #because: Cause | undefined;
  #askedAtMs: number | undefined;
  /** This host asked since it served last, so it is marked. */
  #wasAsked = false;
  /** Another program's mark asked when HAProxy was closed. */
  #wasMarked = false;
  /** Forwarders have sent to this host since it serves. */
  #begun = false;
  #beganAt = new Date();
  readonly #forwarders = new KnownForwarders();
  #isStopping = false;
  /** Connections that HAProxy cut off when it ended last. */
  #cutOff = 0;
  #startAtMs = 0;

  /** @param locals the backends' addresses that are this host's */
  constructor(tier: Tier, locals: () => readonly IpAddress[], log: Logger) {
    this.#tier = tier;
    this.#locals = locals;
    this.#log = log;
    this.#mark = new OwnMark(log);
    this.#keepMark();
    this.#looks = new Repeated({
      what: 'the look at what the forwarders do',
      everyMs: () => POLL_MS,
      task: () => this.#steps.ask(),
      log,
    });
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** Whether forwarders still send connections although HAProxy is about to take no more, or takes none. */
  get isUnfollowed(): boolean {
    return this.#stage === 'unfollowed' || (this.#stage === 'closing' && this.#because === 'deadline');
  }

  /** Asks for the drain; a second time it changes nothing. */
  ask(): Promise<void> {
    this.#askedAtMs ??= performance.now();
    this.#wasAsked = true;
    return this.#steps.ask();
  }

  /** Asks no longer. HAProxy that is about to end is started again when it has ended. */
  undo(): Promise<void> {
    this.#askedAtMs = undefined;
    this.#startAtMs = 0;
    return this.#steps.ask();
  }

  /** Resolves when this host is drained. */
  async drained(): Promise<void> {
    while (this.#stage !== 'drained') await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Undefined while it serves. */
  status(connections: number | undefined): DrainStatus | undefined {
    if (this.#stage === 'serving') return undefined;
    const forwarders = this.#forwarders.list();
    return {
      since: this.#beganAt.toISOString(),
      deadline: new Date(this.#beganAt.getTime() + this.#deadlineMs).toISOString(),
      askedBy: this.#wasAsked ? 'host' : 'forwarders',
      ...(forwarders !== undefined && { forwarders }),
      ...(connections !== undefined && { connections }),
      ...(this.#stage === 'drained' && { cutOff: this.#cutOff }),
    };
  }

  async close(): Promise<void> {
    await this.#looks.close();
    await this.#steps.idle();
  }

  get #deadlineMs(): number {
    return this.#tier.config.l7.drainDeadlineMs;
  }

  async #step(): Promise<void> {
    const isAsked = this.#askedAtMs !== undefined;
    const reports = await askAgent(this.#locals(), this.#tier.config.agent.reportPort);
    this.#forwarders.take(reports, performance.now());
    const forwarders = this.#forwarders.do(isAsked);
    if (this.#stage === 'serving' && forwarders === 'some') this.#begun = true;
    const step = nextStage(this.#stage, {
      nowMs: performance.now(),
      askedAtMs: this.#askedAtMs,
      deadlineMs: this.#deadlineMs,
      forwarders,
      begun: this.#begun,
      isTakenBack: this.#isTakenBack(),
      isHaproxyRunning: this.#isStopping || this.#tier.haproxy !== undefined,
    });
    if (step.stage !== this.#stage) await this.#enter(step);
    this.#keepMark();
  }

  #isTakenBack(): boolean {
    if (this.#wasAsked) return this.#askedAtMs === undefined;
    return this.#wasMarked && this.#forwarders.isMarked() === false;
  }

  async #enter({ stage, because }: Step): Promise<void> {
    const former = this.#stage;
    if (stage === 'serving' && former === 'drained' && !(await this.#startHaproxy())) return;
    this.#stage = stage;
    this.#because = because;
    if (former === 'serving') this.#beganAt = new Date();
    if (stage === 'serving') {
      this.#wasAsked = this.#askedAtMs !== undefined;
      this.#begun = false;
    }
    this.#tell(former, because);
    if (stage === 'closing') this.#closeHaproxy();
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** As long as HAProxy does not serve, and not before somebody asks. */
  #keepMark(): void {
    const { runDirectory } = this.#tier.config.agent;
    this.#mark.set(this.#wasAsked && this.#stage !== 'serving', runDirectory, this.#locals());
  }

  /** @returns false when it does not start; it is tried again */
  async #startHaproxy(): Promise<boolean> {
    if (performance.now() < this.#startAtMs) return false;
    try {
      await this.#tier.startHaproxy();
      return true;
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      this.#startAtMs = performance.now() + RETRY_MS;
      this.#log.error(
        { event: 'l7_drain', why: error.message },
        `this host stays drained, since HAProxy does not start: ${error.message}`,
      );
      return false;
    }
  }

  #closeHaproxy(): void {
    this.#wasMarked = this.#forwarders.isMarked() === true;
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#cutOff = 0;
    this.#tier
      .stopHaproxy(this.#deadlineMs + GRACE_MS)
      .then(({ isDone, cutOff }) => {
        this.#cutOff = cutOff;
        if (cutOff > 0)
          this.#log.warn(
            { event: 'l7_drain', cutOff },
            `HAProxy cut off ${cutOff} connections at its deadline`,
          );
        if (!isDone)
          this.#log.warn({ event: 'l7_drain' }, 'HAProxy did not end by its deadline, and was ended');
      })
      .catch((error: unknown) =>
        this.#log.error(
          { event: 'l7_drain', why: reasonOf(error) },
          `HAProxy cannot be ended: ${reasonOf(error)}`,
        ),
      )
      .finally(() => {
        this.#isStopping = false;
      });
  }

  #tell(former: Stage, because: Cause | undefined): void {
    const fields = { event: 'l7_drain', stage: this.#stage } as const;
    if (this.#stage === 'following' && this.#forwarders.list() === undefined) {
      const inTime = formatDuration(this.#deadlineMs);
      this.#log.warn(
        fields,
        `this host drains, but its agent does not answer: no forwarder is told; HAProxy closes at the deadline, in ${inTime}`,
      );
      return;
    }
    const text = textOf(this.#stage, former, because, this.#deadlineMs);
    if (this.#stage !== 'unfollowed') this.#log.info(fields, text);
    else {
      const forwarders = this.#forwarders.list() ?? null;
      this.#log.warn({ ...fields, forwarders }, text);
    }
  }
}

function textOf(stage: Stage, former: Stage, because: Cause | undefined, deadlineMs: number): string {
  const closes = 'HAProxy takes no more connections, and ends those that it has';
  const causes: Readonly<Record<Cause, string>> = {
    forwarders: 'all forwarders drain this host: ',
    deadline: '',
    nobody: 'this host is no backend of the config: ',
  };
  switch (stage) {
    case 'serving':
      return former === 'drained'
        ? 'HAProxy serves again; this host takes connections'
        : 'the drain of this host is taken back';
    case 'following':
      return `this host drains: the forwarders are told, and have ${formatDuration(deadlineMs)} to follow`;
    case 'unfollowed':
      return (
        `not all forwarders have followed within ${formatDuration(deadlineMs)}: health checks of this host fail from now on, and HAProxy ` +
        `takes no more connections in ${formatDuration(UNFOLLOWED_MS)}`
      );
    case 'closing':
      return `${causes[because ?? 'deadline']}${closes}`;
    case 'drained':
      return 'this host is drained: HAProxy has ended';
  }
}
