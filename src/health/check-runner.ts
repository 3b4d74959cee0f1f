/**
 * Runs single checks, each on its own schedule, and tells what each of them says.
 *
 *   schedule --start--> probe --result--> hysteresis --change--> onResult
 *                         ^       |
 *      deadlines --cancel-+       +--each one--> onCheck
 *
 * One timer serves all: it comes every TICK_MS at most, so that many checks share a wake-up. Answers are taken as they
 * come. Time in which this process stood still is no backend's fault: deadlines move on by as much. Under a load that makes
 * every turn of the event loop a long one they would move on for ever, so a check ends all the same once its timeout has passed
 * and it has lived through so many long turns that an answer would have been heard between them.
 */
import type { HealthConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { formatDuration } from '../core/time.js';
import type { IpAddress } from '../packet/address.js';
import type { CheckResult } from './combine.js';
import { DueQueue } from './due-queue.js';
import { judge, type Standing, UNKNOWN } from './hysteresis.js';
import type { Done, Probe } from './probe.js';
import { Schedule } from './schedule.js';

export interface CheckTarget {
  /** Of the backend, for the log. */
  readonly name: string;
  readonly address: IpAddress;
  readonly check: HealthConfig;
}

/** One check that has ended. */
export interface FinishedCheck {
  /** Of the backend, `pool/backend`. */
  readonly name: string;
  readonly check: HealthConfig;
  /** Milliseconds, as this process saw it: with the time in which it stood still. */
  readonly tookMs: number;
  /** Date.now() when it ended. */
  readonly endedAtMs: number;
  /** `not_made` is this host's fault, and says nothing of the backend. */
  readonly outcome: 'good' | 'failed' | 'not_made';
  /** Why it is not good; as `Done` has it. */
  readonly failure: string | undefined;
}

export type MakeProbe = (target: CheckTarget, done: Done) => Probe;

export interface CheckRunnerOptions {
  readonly log: Logger;
  readonly probe: MakeProbe;
  readonly random?: (() => number) | undefined;
  /**
   * A check has changed sides, or failed once more while it is down; `result` has what it says now.
   * @param times what made it change sides: `first check`, `3 in a row`
   */
  readonly onResult: (name: string, check: number, times: string | undefined) => void;
  /** A check has ended, whatever its result; before `onResult`. */
  readonly onCheck: (finished: FinishedCheck) => void;
}

const TICK_MS = 5;
/** A tick that comes later than this found the process standing still. */
const LATE_MS = 20;
/** While checks are running there is a tick this often: all the time since the last one is what a late one takes for lost. */
const HEARTBEAT_MS = 50;
/** An answer over TLS is read in some five turns of the event loop. */
const LONG_TURNS_MAX = 8;
/** Between two words on what this host lacks. */
const COMPLAINT_MS = 10_000;
/** Of a check that stands for another one until its first result. */
const NO_RESULT = 'no result yet';
const GOOD = 'the check is good';

interface Check {
  readonly target: CheckTarget;
  readonly probe: Probe;
  isRunning: boolean;
  /** Of the check that is running. */
  startedMs: number;
  startedLongTurns: number;
  mark: Standing;
  result: CheckResult | undefined;
  last: FinishedCheck | undefined;
}

export class CheckRunner {
  readonly #log: Logger;
  readonly #makeProbe: MakeProbe;
  readonly #schedule: Schedule;
  readonly #deadlines = new DueQueue();
  /** By number; a number that was given back is used again. */
  readonly #checks: (Check | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #onResult: CheckRunnerOptions['onResult'];
  readonly #onCheck: CheckRunnerOptions['onCheck'];
  #timer: NodeJS.Timeout | undefined;
  #tickDueMs = Number.POSITIVE_INFINITY;
  /** When the timer was set: the process was running then. */
  #armedMs = 0;
  #stoodStillMs = 0;
  /** Late ticks so far: between two of them answers are read. Of others deadlines take note. */
  #longTurns = 0;
  #complainedMs = Number.NEGATIVE_INFINITY;

  constructor({ log, probe, random, onResult, onCheck }: CheckRunnerOptions) {
    this.#log = log;
    this.#makeProbe = probe;
    this.#schedule = new Schedule(random);
    this.#onResult = onResult;
    this.#onCheck = onCheck;
  }

  /**
   * Starts after the next `arm`.
   * @param wasUp what the check stands for until its first result; undefined for nothing
   * @returns its number, until it is removed
   */
  add(target: CheckTarget, wasUp: boolean | undefined): number {
    const number = this.#free.pop() ?? this.#checks.length;
    const probe = this.#makeProbe(target, (failure, isOwnFault) => this.#finish(number, failure, isOwnFault));
    const idle = { isRunning: false, startedMs: 0, startedLongTurns: 0 };
    const result = wasUp === undefined ? undefined : { isUp: wasUp, reason: wasUp ? GOOD : NO_RESULT };
    this.#checks[number] = { target, probe, ...idle, mark: UNKNOWN, result, last: undefined };
    this.#schedule.add(number, target.check, performance.now());
    return number;
  }

  remove(number: number): void {
    const { probe, isRunning } = this.#checks[number]!;
    if (isRunning) probe.cancel();
    probe.close?.();
    this.#checks[number] = undefined;
    this.#free.push(number);
    this.#schedule.remove(number);
    this.#deadlines.remove(number);
  }

  /** What a check says; undefined before its first result. */
  result(number: number): CheckResult | undefined {
    return this.#checks[number]!.result;
  }

  /** The last one that has ended; undefined before the first. */
  last(number: number): FinishedCheck | undefined {
    return this.#checks[number]!.last;
  }

  /** Sets the timer for what is due next: once for all that were added or removed. */
  arm(): void {
    const nowMs = performance.now();
    const heartbeatMs = this.#deadlines.size > 0 ? nowMs + HEARTBEAT_MS : Number.POSITIVE_INFINITY;
    const nextMs = Math.min(this.#schedule.nextMs, this.#deadlines.nextMs + this.#stoodStillMs, heartbeatMs);
    clearTimeout(this.#timer);
    if (nextMs === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.max(1, Math.ceil((nextMs - nowMs) / TICK_MS) * TICK_MS);
    this.#armedMs = nowMs;
    this.#tickDueMs = nowMs + delayMs;
    this.#timer = setTimeout(this.#tick, delayMs);
  }

  readonly #tick = (): void => {
    const nowMs = performance.now();
    if (nowMs - this.#tickDueMs > LATE_MS) {
      this.#longTurns++;
      // Answers may have come meanwhile and wait to be read: no deadline passes in such a tick.
      this.#stoodStillMs += nowMs - this.#armedMs;
      this.#giveUpOverdue(nowMs);
    }
    const awakeMs = nowMs - this.#stoodStillMs;
    for (let each = this.#deadlines.take(awakeMs); each >= 0; each = this.#deadlines.take(awakeMs)) {
      this.#giveUp(each);
    }
    for (let each = this.#schedule.take(nowMs); each >= 0; each = this.#schedule.take(nowMs)) {
      const check = this.#checks[each]!;
      // Only after a stall, when the deadline has moved: the check that runs has its time all the same.
      if (check.isRunning) continue;
      check.isRunning = true;
      check.startedMs = performance.now(); // of hundreds in one tick, the last starts milliseconds after it
      check.startedLongTurns = this.#longTurns;
      this.#deadlines.set(each, awakeMs + check.target.check.timeoutMs);
      check.probe.start();
    }
    this.arm();
  };

  /** Those whose timeout has passed by the clock, after long turns enough. */
  #giveUpOverdue(nowMs: number): void {
    for (const [number, check] of this.#checks.entries()) {
      if (check?.isRunning !== true || this.#longTurns - check.startedLongTurns < LONG_TURNS_MAX) continue;
      if (nowMs - check.startedMs >= check.target.check.timeoutMs) this.#giveUp(number);
    }
  }

  #giveUp(number: number): void {
    const { probe, target } = this.#checks[number]!;
    this.#finish(number, `${probe.cancel()} within ${formatDuration(target.check.timeoutMs)}`);
  }

  #finish(number: number, failure: string | undefined, isOwnFault = false): void {
    const check = this.#checks[number]!;
    const { target } = check;
    check.isRunning = false;
    this.#deadlines.remove(number);
    const outcome = isOwnFault ? 'not_made' : failure === undefined ? 'good' : 'failed';
    check.last = {
      name: target.name,
      check: target.check,
      tookMs: performance.now() - check.startedMs,
      endedAtMs: Date.now(),
      outcome,
      failure,
    };
    this.#onCheck(check.last);
    if (isOwnFault) {
      this.#complain(target.name, failure);
      // Who has never been tried is not known to work; whose mark is known keeps it.
      if (check.result !== undefined) return;
    }
    if (failure !== undefined && check.mark.isUp)
      this.#log.debug(
        { event: 'check_failed', backend: target.name },
        `check of ${target.name} by ${target.check.kind}: ${failure}`,
      );
    this.#judge(number, check, failure);
  }

  #judge(number: number, check: Check, failure: string | undefined): void {
    const { name, check: limits } = check.target;
    const mark = judge(check.mark, failure === undefined, limits);
    if (mark === check.mark && mark.isUp) return;
    const isFirst = check.mark.isUp === undefined;
    check.mark = mark;
    const isUp = mark.isUp === true;
    const isChange = check.result?.isUp !== isUp;
    if (!isChange && (isUp || failure === undefined)) return;
    const reason = failure ?? GOOD;
    if (isChange || check.result?.reason !== reason) check.result = { isUp, reason };
    const times = isFirst ? 'first check' : `${isUp ? limits.rise : limits.fall} in a row`;
    this.#onResult(name, number, isChange ? times : undefined);
  }

  /** Most often all checks have the same trouble: one speaks for all. */
  #complain(backend: string, reason: string | undefined): void {
    const nowMs = performance.now();
    if (nowMs < this.#complainedMs + COMPLAINT_MS) return;
    this.#complainedMs = nowMs;
    this.#log.error(
      { event: 'health_unknown', backend, reason },
      `${backend} cannot be checked from here: ${reason}`,
    );
  }
}
