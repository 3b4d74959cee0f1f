/**
 * Which backends are up by their checks, for as long as they are needed. Tells of every change of a mark: what is up, what is
 * down, why, and since when.
 *
 *   runner --result of one check--> combine --change--> log, listeners
 *
 * A check that replaces or joins others of a backend with a mark stands for what was there until its own first result, so that a
 * reload alone takes no backend down.
 */
import { isDeepStrictEqual } from 'node:util';
import type { HealthConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { IpAddress } from '../packet/address.js';
import { CheckRunner, type FinishedCheck, type MakeProbe } from './check-runner.js';
import { type CheckResult, type Combined, combine } from './combine.js';

export interface HealthTarget {
  /** `pool/backend`; unique. */
  readonly name: string;
  readonly address: IpAddress;
  /** 1 or more, no two alike; all must pass. */
  readonly checks: readonly HealthConfig[];
}

export interface HealthChange extends CheckResult {
  readonly name: string;
}

export type HealthListener = (change: HealthChange) => void;
export type CheckListener = (finished: FinishedCheck) => void;

/** One of a backend's checks. */
export interface CheckState {
  readonly check: HealthConfig;
  /** What it says; undefined before its first result. */
  readonly result: CheckResult | undefined;
  /** The last one that has ended; undefined before the first. */
  readonly last: FinishedCheck | undefined;
}

export interface HealthChecksOptions {
  readonly log: Logger;
  readonly probe: MakeProbe;
  readonly random?: () => number;
}

/** Between two words on why one backend is still down: some fail in two ways by turns. */
const REASON_MS = 10_000;

interface RunningCheck {
  readonly check: HealthConfig;
  /** The runner's. */
  readonly number: number;
}

interface Backend {
  readonly target: HealthTarget;
  /** In the order of the target's. */
  readonly running: readonly RunningCheck[];
  /** Undefined until each check has its first result. */
  shown: CheckResult | undefined;
  /** The reason that the log has, and since when. */
  told: { readonly reason: string; readonly atMs: number } | undefined;
}

export class HealthChecks {
  readonly #log: Logger;
  readonly #runner: CheckRunner;
  readonly #listeners = new Set<HealthListener>();
  readonly #checkListeners = new Set<CheckListener>();
  /** By the target's name, as `#current`. */
  readonly #backends = new Map<string, Backend>();
  readonly #current = new Map<string, CheckResult>();
  #waiting: (() => void)[] = [];

  constructor({ log, probe, random }: HealthChecksOptions) {
    this.#log = log;
    const onCheck = (finished: FinishedCheck): void => {
      for (const listener of this.#checkListeners) listener(finished);
    };
    this.#runner = new CheckRunner({ log, probe, random, onResult: this.#onResult, onCheck });
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

  /** Calls `listener` with every check that ends, until the returned function is called. It must be quick, and must not throw. */
  onCheck(listener: CheckListener): () => void {
    this.#checkListeners.add(listener);
    return () => this.#checkListeners.delete(listener);
  }

  /** The checks of a target, in its order; none for a name that is not checked. */
  checksOf(name: string): CheckState[] {
    const running = this.#backends.get(name)?.running ?? [];
    return running.map(({ check, number }) => ({
      check,
      result: this.#runner.result(number),
      last: this.#runner.last(number),
    }));
  }

  /**
   * Checks these from now on and no others. Checks that are as before go on undisturbed. Resolves once every target has a mark: each has
   * one after the first round and its longest timeout.
   */
  setTargets(targets: readonly HealthTarget[]): Promise<void> {
    const names = new Set(targets.map(({ name }) => name));
    for (const name of [...this.#backends.keys()]) if (!names.has(name)) this.#remove(name);
    for (const target of targets) this.#set(target);
    this.#runner.arm();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#tellWaiting();
    });
  }

  /** Ends all checks. */
  close(): void {
    this.#listeners.clear();
    this.#checkListeners.clear();
    for (const name of [...this.#backends.keys()]) this.#remove(name);
    this.#runner.arm();
    this.#tellWaiting();
  }

  #remove(name: string): void {
    for (const { number } of this.#backends.get(name)!.running) this.#runner.remove(number);
    this.#backends.delete(name);
    this.#current.delete(name);
  }

  #set(target: HealthTarget): void {
    const { name, address, checks } = target;
    const before = this.#backends.get(name);
    if (before?.target.address.text !== address.text) {
      if (before !== undefined) this.#remove(name); // another server
      const running = checks.map((check) => this.#start(target, check, undefined));
      this.#backends.set(name, { target, running, shown: undefined, told: undefined });
    } else if (!isDeepStrictEqual(before.target.checks, checks)) this.#change(target, before);
  }

  /** Checks the same server in another way. */
  #change(target: HealthTarget, { running: former, shown, told }: Backend): void {
    const left = new Set(former);
    const kept = target.checks.map((check) => {
      const same = [...left].find((one) => isDeepStrictEqual(one.check, check));
      if (same !== undefined) left.delete(same);
      return same;
    });
    // What the others stand for: those that they replace, or nothing that is known to be wrong.
    const wasUp = [...left].every(({ number }) => this.#runner.result(number)?.isUp !== false);
    for (const { number } of left) this.#runner.remove(number);
    const running = target.checks.map(
      (check, index) => kept[index] ?? this.#start(target, check, shown && wasUp),
    );
    const backend = { target, running, shown, told };
    this.#backends.set(target.name, backend);
    const combined = this.#combine(backend);
    // Of one that is down as before, the old reason is better than none.
    if (combined !== undefined && combined.isUp !== shown?.isUp) this.#take(backend, combined, undefined);
  }

  #start({ name, address }: HealthTarget, check: HealthConfig, wasUp: boolean | undefined): RunningCheck {
    return { check, number: this.#runner.add({ name, address, check }, wasUp) };
  }

  #combine({ target, running }: Backend): Combined | undefined {
    return combine(
      running.map(({ number }) => this.#runner.result(number)),
      target.checks,
    );
  }

  readonly #onResult = (name: string, number: number, times: string | undefined): void => {
    const backend = this.#backends.get(name)!;
    const combined = this.#combine(backend);
    if (combined === undefined) return;
    const { running } = backend;
    const isDecisive =
      running.length === 1 || combined.failing === running.findIndex((one) => one.number === number);
    this.#take(backend, combined, isDecisive ? times : undefined);
  };

  /** @param times how often the check that decides has said so */
  #take(backend: Backend, { isUp, reason }: CheckResult, times: string | undefined): void {
    const { shown } = backend;
    if (shown?.isUp === isUp) {
      if (!isUp) this.#stillDown(backend, shown, reason);
      return;
    }
    const { name } = backend.target;
    const result = { isUp, reason };
    this.#show(backend, result);
    backend.told = { reason, atMs: performance.now() };
    const fields = { event: 'health', backend: name, health: isUp ? 'up' : 'down', reason } as const;
    const text = `${name} is ${fields.health}: ${reason}${times === undefined ? '' : `, ${times}`}`;
    if (isUp) this.#log.info(fields, text);
    else this.#log.warn(fields, text);
    for (const listener of this.#listeners) listener({ name, ...result });
    if (shown === undefined) this.#tellWaiting();
  }

  /** Down as before, maybe for another reason. */
  #stillDown(backend: Backend, shown: CheckResult, reason: string): void {
    if (reason !== shown.reason) this.#show(backend, { ...shown, reason });
    const nowMs = performance.now();
    const { told, target } = backend;
    if (told !== undefined && (told.reason === reason || nowMs < told.atMs + REASON_MS)) return;
    backend.told = { reason, atMs: nowMs };
    const { name } = target;
    const fields = { event: 'health', backend: name, health: 'down', reason } as const;
    this.#log.warn(fields, `${name} is still down, now for another reason: ${reason}`);
  }

  #show(backend: Backend, result: CheckResult): void {
    backend.shown = result;
    this.#current.set(backend.target.name, result);
  }

  #tellWaiting(): void {
    if (this.#current.size < this.#backends.size) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
