/** Which config is in force: puts another one in its place, goes back when that fails, and removes the files that nobody needs. */
import { existsSync } from 'node:fs';
import { AnyhopError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { Generation } from './generations.js';
import type { Bind } from './limits.js';
import type { Worker } from './master-process.js';
import { type HaproxyConfig, type Place, prepare } from './prepare.js';
import { type HaproxyProblem, problemsIn } from './problems.js';
import type { NotServed, Runner } from './runner.js';

export interface Refused {
  readonly inForce: false;
  /** Errors and warnings. */
  readonly problems: readonly HaproxyProblem[];
}

export interface Amended {
  readonly inForce: true;
  readonly generation: number;
  readonly warnings: readonly HaproxyProblem[];
}

export interface Reloaded extends Amended {
  readonly worker: Worker;
  /** Connections that waited to be accepted were lost. */
  readonly isTransferLost: boolean;
  readonly tookMs: number;
}

/** Generations whose files stay while workers of them still live. */
const LOADED_MAX = 4;

export class Deployment {
  transfersLost = 0;
  readonly #place: Place;
  readonly #runner: Pick<Runner, 'serve'>;
  readonly #log: Logger;
  /** The generations that workers have loaded, by their pids; the newest last. */
  readonly #loaded = new Map<number, number>();
  #inForce: { readonly config: HaproxyConfig; readonly generation: number } | undefined;

  constructor(place: Place, runner: Pick<Runner, 'serve'>, log: Logger) {
    this.#place = place;
    this.#runner = runner;
    this.#log = log;
  }

  get generation(): number | undefined {
    return this.#inForce?.generation;
  }

  /** Of the files that a worker has loaded. */
  directoryOf(pid: number): string | undefined {
    const number = this.#loaded.get(pid);
    return number === undefined ? undefined : this.#place.generations.directoryOf(number);
  }

  /**
   * Puts a config in force.
   * @param pids HAProxy's processes, whose ports are not taken by somebody else
   * @throws AnyhopError ERR_HAPROXY or ERR_TOOL when it cannot be tried
   */
  async put(config: HaproxyConfig, pids: readonly number[]): Promise<Reloaded | Refused> {
    const startedMs = performance.now();
    const prepared = await prepare(config, this.#place, { pids, binds: this.#binds() });
    if (!prepared.ok) return { inForce: false, problems: prepared.problems };
    const { generation, warnings } = prepared;
    const { generations } = this.#place;
    const former = generations.current();
    await generations.flip(generation.number);
    const done = await this.#runner.serve();
    if (!done.ok) {
      if (former !== undefined) await generations.flip(former);
      await generations.remove(generation.number);
      return { inForce: false, problems: this.#reasons(done, generation) };
    }
    this.#inForce = { config, generation: generation.number };
    const { worker, oldWorkers, isTransferLost } = done;
    if (isTransferLost) this.#lost();
    await this.loaded(worker, oldWorkers);
    const tookMs = Math.round(performance.now() - startedMs);
    return { inForce: true, generation: generation.number, warnings, worker, isTransferLost, tookMs };
  }

  /** Has this host and HAProxy judge a config that may come; nothing of it is left. @returns what is wrong with it @throws as `put` */
  async judge(config: HaproxyConfig, pids: readonly number[]): Promise<readonly HaproxyProblem[]> {
    const prepared = await prepare(config, this.#place, { pids, binds: this.#binds() });
    if (!prepared.ok) return prepared.problems;
    await this.#place.generations.remove(prepared.generation.number);
    return [];
  }

  /** Puts a config in force for the next reload or restart. @throws AnyhopError as `put` does */
  async amend(config: HaproxyConfig, pids: readonly number[]): Promise<Amended | Refused> {
    const prepared = await prepare(config, this.#place, { pids, binds: this.#binds() });
    if (!prepared.ok) return { inForce: false, problems: prepared.problems };
    const { generation, warnings } = prepared;
    await this.#place.generations.flip(generation.number);
    this.#inForce = { config, generation: generation.number };
    await this.#removeUnused();
    return { inForce: true, generation: generation.number, warnings };
  }

  /** Writes the files of the config in force again when they are gone. @throws AnyhopError ERR_HAPROXY */
  async restore(): Promise<void> {
    const { generations } = this.#place;
    if (this.#inForce === undefined || existsSync(generations.currentFile)) return;
    const { config } = this.#inForce;
    const { number } = await generations.write(config.render);
    await generations.flip(number);
    this.#inForce = { config, generation: number };
  }

  /** A worker has loaded what is in force. */
  async loaded({ pid }: Worker, oldWorkers: readonly number[]): Promise<void> {
    const live = new Set([pid, ...oldWorkers]);
    for (const each of this.#loaded.keys()) if (!live.has(each)) this.#loaded.delete(each);
    if (this.#inForce !== undefined) this.#loaded.set(pid, this.#inForce.generation);
    await this.#removeUnused();
  }

  /** Files that stay do no harm now, and the next removal tries again. */
  async #removeUnused(): Promise<void> {
    try {
      await this.#place.generations.removeAllBut(new Set([...this.#loaded.values()].slice(-LOADED_MAX)));
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      this.#log.warn({ event: 'haproxy_files_kept', why: error.message }, error.message);
    }
  }

  #binds(): readonly Bind[] {
    return this.#inForce?.config.needs.binds ?? [];
  }

  #reasons({ messages, why }: NotServed, { rendering }: Generation): HaproxyProblem[] {
    const { currentFile } = this.#place.generations;
    const errors = problemsIn(messages, currentFile, rendering.lines).filter(
      ({ level }) => level === 'error',
    );
    return errors.length > 0 ? errors : [{ level: 'error', at: [], message: why }];
  }

  #lost(): void {
    this.transfersLost++;
    this.#log.warn(
      { event: 'haproxy_sockets_lost', count: this.transfersLost },
      'HAProxy did not hand over its listening sockets in a reload: connections that waited to be accepted are lost',
    );
  }
}
