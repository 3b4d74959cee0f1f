/**
 * Checks backends for as long as they are needed, and tells of every change of a mark: what is up, what is down, why, and
 * since when.
 *
 *   schedule --start--> probe --result--> hysteresis --change--> log, listeners
 *                         ^
 *      deadlines --cancel-+
 *
 * One timer serves all: it comes every TICK_MS at most, so that many checks share a wake-up. Answers are taken as they
 * come. Time in which this process stood still is no backend's fault: deadlines move on by as much. Under a load that makes
 * every turn of the event loop a long one they would move on for ever, so a check ends all the same once its timeout has passed
 * and it has lived through so many long turns that an answer would have been heard between them.
 */
import { isDeepStrictEqual } from 'node:util';
import type { HealthConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { formatDuration } from '../core/time.js';
import type { IpAddress } from '../packet/address.js';
import { DueQueue } from './due-queue.js';
import { judge, type Standing, UNKNOWN } from './hysteresis.js';
import type { Done, Probe } from './probe.js';
import { Schedule } from './schedule.js';

export interface HealthTarget {
  /** `pool/backend`; unique. */
  readonly name: string;
  readonly address: IpAddress;
  readonly check: HealthConfig;
}

/** What a backend's checks say. What else is known of it is in its mark (node/marks.ts). */
export interface CheckResult {
  readonly isUp: boolean;
  /** For a log line, without a full stop: of one that is down the last failure. */
  readonly reason: string;
}

export interface HealthChange extends CheckResult {
  readonly name: string;
}

export type HealthListener = (change: HealthChange) => void;
export type MakeProbe = (target: HealthTarget, done: Done) => Probe;

export interface HealthChecksOptions {
  readonly log: Logger;
  readonly probe: MakeProbe;
  readonly random?: () => number;
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
/** Between two words on why one backend is still down: some fail in two ways by turns. */
const REASON_MS = 10_000;

interface Check {
  readonly target: HealthTarget;
  readonly probe: Probe;
  isRunning: boolean;
  /** Of the check that is running. */
  startedMs: number;
  startedLongTurns: number;
  mark: Standing;
  shown: CheckResult | undefined;
  /** The reason that the log has, and since when. */
  told: { readonly reason: string; readonly atMs: number } | undefined;
}

export class HealthChecks {
  readonly #log: Logger;
  readonly #makeProbe: MakeProbe;
  readonly #schedule: Schedule;
  readonly #deadlines = new DueQueue();
  readonly #listeners = new Set<HealthListener>();
  /** By number; a number that was given back is used again. */
  readonly #checks: (Check | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #current = new Map<string, CheckResult>();
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #tickDueMs = Number.POSITIVE_INFINITY;
  /** When the timer was set: the process was running then. */
  #armedMs = 0;
  #stoodStillMs = 0;
  /** Late ticks so far: between two of them answers are read. Of others deadlines take note. */
  #longTurns = 0;
  #complainedMs = Number.NEGATIVE_INFINITY;

  constructor({ log, probe, random }: HealthChecksOptions) {
    this.#log = log;
    this.#makeProbe = probe;
    this.#schedule = new Schedule(random);
  }

  /** By the target's name: all targets, once their `setTargets` has resolved. */
  current(): ReadonlyMap<string, CheckResult> {
    return this.#current;
  }

  /** Calls `listener` at once on every change, which has been logged, until the returned function is called. */
  onChange(listener: HealthListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Checks these from now on and no others. Those that are as before go on undisturbed; one that is checked in another way
   * keeps its mark until the first result. Resolves once every target has a mark: each has one after the first round and
   * its timeout.
   */
  setTargets(targets: readonly HealthTarget[]): Promise<void> {
    const names = new Set(targets.map(({ name }) => name));
    for (const name of [...this.#numbers.keys()]) if (!names.has(name)) this.#remove(name);
    for (const target of targets) this.#set(target);
    this.#arm();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#tellWaiting();
    });
  }

  /** Ends all checks. */
  close(): void {
    this.#listeners.clear();
    for (const name of [...this.#numbers.keys()]) this.#remove(name);
    clearTimeout(this.#timer);
    this.#tellWaiting();
  }

  #set(target: HealthTarget): void {
    const { name, address, check } = target;
    const before = this.#checks[this.#numbers.get(name) ?? -1];
    const isSameServer = before?.target.address.text === address.text;
    if (isSameServer && isDeepStrictEqual(before?.target.check, check)) return;
    const shown = isSameServer ? before?.shown : undefined;
    if (before !== undefined) this.#remove(name);
    const number = this.#free.pop() ?? this.#checks.length;
    const probe = this.#makeProbe(target, (failure, isOwnFault) => this.#finish(number, failure, isOwnFault));
    const idle = { isRunning: false, startedMs: 0, startedLongTurns: 0 };
    this.#checks[number] = { target, probe, ...idle, mark: UNKNOWN, shown, told: undefined };
    this.#numbers.set(name, number);
    if (shown !== undefined) this.#current.set(name, shown);
    this.#schedule.add(number, check, performance.now());
  }

  #remove(name: string): void {
    const number = this.#numbers.get(name)!;
    const { probe, isRunning } = this.#checks[number]!;
    if (isRunning) probe.cancel();
    probe.close?.();
    this.#checks[number] = undefined;
    this.#free.push(number);
    this.#numbers.delete(name);
    this.#current.delete(name);
    this.#schedule.remove(number);
    this.#deadlines.remove(number);
  }

  /** Sets the timer for what is due next. */
  #arm(): void {
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
      check.startedMs = nowMs;
      check.startedLongTurns = this.#longTurns;
      this.#deadlines.set(each, awakeMs + check.target.check.timeoutMs);
      check.probe.start();
    }
    this.#arm();
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
    if (isOwnFault) {
      this.#complain(target.name, failure);
      // Who has never been tried is not known to work; whose mark is known keeps it.
      if (check.shown !== undefined) return;
    }
    if (failure !== undefined && check.mark.isUp)
      this.#log.debug({ event: 'check_failed', backend: target.name }, `check of ${target.name}: ${failure}`);
    const mark = judge(check.mark, failure === undefined, target.check);
    const isNews = failure !== check.shown?.reason || failure !== check.told?.reason;
    if (mark === check.mark && (mark.isUp || !isNews)) return;
    const isFirst = check.mark.isUp === undefined;
    check.mark = mark;
    const isUp = mark.isUp === true;
    if (check.shown?.isUp !== isUp) this.#change(check, isUp, failure, isFirst);
    else if (!isUp && failure !== undefined) this.#stillDown(check, check.shown, failure);
  }

  /** Down as before, maybe for another reason. */
  #stillDown(check: Check, shown: CheckResult, reason: string): void {
    this.#show(check, { ...shown, reason });
    const nowMs = performance.now();
    const { told } = check;
    if (told !== undefined && (told.reason === reason || nowMs < told.atMs + REASON_MS)) return;
    check.told = { reason, atMs: nowMs };
    const { name } = check.target;
    const fields = { event: 'health', backend: name, health: 'down', reason } as const;
    this.#log.warn(fields, `${name} is still down, now for another reason: ${reason}`);
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

  #change(check: Check, isUp: boolean, failure: string | undefined, isFirst: boolean): void {
    const { name, check: limits } = check.target;
    const count = isUp ? limits.rise : limits.fall;
    const times = isFirst ? 'first check' : `${count} in a row`;
    const result = { isUp, reason: failure ?? 'the check is good' };
    this.#show(check, result);
    check.told = { reason: result.reason, atMs: performance.now() };
    const fields = {
      event: 'health',
      backend: name,
      health: isUp ? 'up' : 'down',
      reason: result.reason,
    } as const;
    const text = `${name} is ${fields.health}: ${result.reason}, ${times}`;
    if (isUp) this.#log.info(fields, text);
    else this.#log.warn(fields, text);
    for (const listener of this.#listeners) listener({ name, ...result });
    if (isFirst) this.#tellWaiting();
  }

  #show(check: Check, result: CheckResult): void {
    check.shown = result;
    this.#current.set(check.target.name, result);
  }

  #tellWaiting(): void {
    if (this.#current.size < this.#numbers.size) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
