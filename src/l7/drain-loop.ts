/**
 * A proxy host's drain, step by step (drain.ts): asks this host's agent what the forwarders do, sets and removes the host's mark, and
 * ends and starts HAProxy.
 */
import { mark, unmark } from '../agent/draining-mark.js';
import { doAllDrain } from '../agent/followed.js';
import { type AgentReport, fetchAgentReport } from '../agent/report.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { formatDuration } from '../core/time.js';
import type { IpAddress } from '../packet/address.js';
import { nextStage, type Stage, type Step } from './drain.js';
import type { DrainStatus } from './status.js';
import type { Tier } from './tier.js';

const POLL_MS = 1_000;
const REPORT_TIMEOUT_MS = 1_500;
/** HAProxy ends by itself at its deadline; this much later it is ended. */
const GRACE_MS = 10_000;
const AUTHOR = 'anyhop l7';

interface Forwarder {
  readonly address: string;
  readonly draining: boolean;
}

export class DrainLoop {
  readonly #tier: Tier;
  readonly #locals: () => readonly IpAddress[];
  readonly #log: Logger;
  readonly #steps = new Rerun(() => this.#step());
  readonly #timer: NodeJS.Timeout;
  readonly #waiting = new Set<() => void>();
  #stage: Stage = 'serving';
  /** Why `closing` began. */
  #because: Step['because'];
  #askedAtMs: number | undefined;
  #beganAtMs = 0;
  #forwarders: readonly Forwarder[] | undefined;
  #isStopping = false;

  /** @param locals the backends' addresses that are this host's */
  constructor(tier: Tier, locals: () => readonly IpAddress[], log: Logger) {
    this.#tier = tier;
    this.#locals = locals;
    this.#log = log;
    this.#timer = setInterval(() => void this.#steps.ask(), POLL_MS);
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** Whether forwarders may still send connections although HAProxy takes no more. */
  get isUnfollowed(): boolean {
    return this.#stage === 'closing' && this.#because === 'deadline';
  }

  /** HAProxy serves: a mark that a former process left is no longer true. */
  begin(): void {
    this.#unmark();
  }

  /** Asks for the drain; a second time it changes nothing. */
  ask(): Promise<void> {
    this.#askedAtMs ??= Date.now();
    return this.#steps.ask();
  }

  /** Asks no longer. */
  undo(): Promise<void> {
    this.#askedAtMs = undefined;
    return this.#steps.ask();
  }

  /** Resolves when this host is drained. */
  async drained(): Promise<void> {
    while (this.#stage !== 'drained') await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Undefined while it serves and nobody drains it. */
  status(connections: number | undefined): DrainStatus | undefined {
    if (this.#stage === 'serving') return undefined;
    return {
      since: new Date(this.#beganAtMs).toISOString(),
      deadline: new Date(this.#beganAtMs + this.#deadlineMs).toISOString(),
      askedBy: this.#askedAtMs === undefined ? 'forwarders' : 'host',
      ...(this.#forwarders !== undefined && { forwarders: this.#forwarders }),
      ...(connections !== undefined && { connections }),
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#steps.idle();
  }

  get #deadlineMs(): number {
    return this.#tier.config.l7.drainDeadlineMs;
  }

  async #step(): Promise<void> {
    const reports = await this.#reports();
    this.#forwarders = reports && forwardersOf(reports);
    const step = nextStage(this.#stage, {
      nowMs: Date.now(),
      askedAtMs: this.#askedAtMs,
      deadlineMs: this.#deadlineMs,
      allDrain: reports?.every((report) => doAllDrain(report)),
      isHaproxyRunning: this.#tier.haproxy !== undefined,
    });
    if (step.stage !== this.#stage) await this.#enter(step);
  }

  async #enter({ stage, because }: Step): Promise<void> {
    const former = this.#stage;
    if (stage === 'serving' && former === 'drained' && !(await this.#startHaproxy())) return;
    this.#stage = stage;
    this.#because = because;
    if (former === 'serving') this.#beganAtMs = Date.now();
    this.#tell(former, because);
    if (stage === 'following') this.#mark();
    if (stage === 'serving') this.#unmark();
    if (stage === 'closing') this.#closeHaproxy();
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** @returns false when it does not start; it is tried again */
  async #startHaproxy(): Promise<boolean> {
    try {
      await this.#tier.startHaproxy();
      return true;
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      this.#log.error(
        { event: 'l7_drain', why: error.message },
        `this host stays drained, since HAProxy does not start: ${error.message}`,
      );
      return false;
    }
  }

  #closeHaproxy(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    void this.#tier
      .stopHaproxy(this.#deadlineMs + GRACE_MS)
      .then((isDone) => {
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
        void this.#steps.ask();
      });
  }

  #tell(former: Stage, because: Step['because']): void {
    const deadline = formatDuration(this.#deadlineMs);
    const texts: Record<Stage, string> = {
      serving:
        former === 'drained'
          ? 'HAProxy serves again; this host takes connections'
          : 'the drain of this host is taken back',
      following: `this host drains: the forwarders are told, and followed within ${deadline}`,
      closing:
        because === 'deadline'
          ? `not all forwarders have followed within ${deadline}; HAProxy takes no more connections all the same`
          : 'all forwarders drain this host; HAProxy takes no more connections and ends those that it has',
      drained: 'this host is drained: HAProxy has ended',
    };
    const fields = { event: 'l7_drain', stage: this.#stage } as const;
    if (because === 'deadline')
      this.#log.warn({ ...fields, forwarders: this.#forwarders ?? null }, texts[this.#stage]);
    else this.#log.info(fields, texts[this.#stage]);
  }

  #mark(): void {
    this.#eachMark((directory, address) => mark(directory, address, AUTHOR));
  }

  #unmark(): void {
    this.#eachMark(unmark);
  }

  #eachMark(act: (directory: string, address: IpAddress) => unknown): void {
    const { runDirectory } = this.#tier.config.agent;
    for (const address of this.#locals()) {
      try {
        act(runDirectory, address);
      } catch (error) {
        if (!(error instanceof AnyhopError)) throw error;
        this.#log.error(
          { event: 'l7_drain', why: error.message },
          `the forwarders cannot be told: ${error.message}`,
        );
      }
    }
  }

  /** Of all addresses of this host; undefined when one does not answer, or there is none. */
  async #reports(): Promise<AgentReport[] | undefined> {
    const { reportPort } = this.#tier.config.agent;
    const locals = this.#locals();
    if (locals.length === 0) return undefined;
    try {
      return await Promise.all(
        locals.map(({ text }) => fetchAgentReport(text, reportPort, REPORT_TIMEOUT_MS)),
      );
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      return undefined;
    }
  }
}

function forwardersOf(reports: readonly AgentReport[]): Forwarder[] {
  const drains = new Map<string, boolean>();
  for (const { forwarders } of reports)
    for (const { address, draining } of forwarders)
      drains.set(address, (drains.get(address) ?? true) && draining);
  return [...drains].map(([address, draining]) => ({ address, draining }));
}
