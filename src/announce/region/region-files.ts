/**
 * Keeps the files of the regions, and has the DNS server read them: only when something has changed, the states first, each file as a
 * whole. A failure is tried again; until the server has read both, gdnsd follows the states by itself.
 */
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeDirectory } from '../../core/directory.js';
import { AnyhopError } from '../../core/errors.js';
import { REGION_WRITE_PAUSE_MS } from '../../core/limits.js';
import type { Logger } from '../../core/log.js';
import { requireOwnDirectory } from '../../core/own-directory.js';
import { replaceOwnFile } from '../../core/own-file.js';
import { reasonOf } from '../../core/reason.js';
import { Rerun } from '../../core/rerun.js';
import { limitedTool, type RunTool, requireTool } from '../../core/tool.js';
import { statesText, weightsFile, weightsText } from './gdnsd-files.js';
import type { HostState } from './judge.js';

/** The DNS server's user reads them. Nothing in them is secret: the DNS says it to everybody. */
const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const AGAIN_MS = 5_000;
/** `gdnsdctl replace` takes 8 ms, or 2 s when it fails. */
const RELOAD_LIMITS = { timeoutMs: 10_000, outputCharsMax: 4_096 };

export interface RegionTexts {
  readonly states: string;
  readonly weights: string;
}

export class RegionFiles {
  readonly #log: Logger;
  readonly #run: RunTool;
  readonly #writing = new Rerun(() => this.#writeAndRetry());
  #place: FilesPlace;
  #wanted: RegionTexts | undefined;
  #written: Partial<RegionTexts> = {};
  #isRead = false;
  /** Of the last attempt; said once. */
  #failure: string | undefined;
  #again: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(place: FilesPlace, log: Logger, run: RunTool = limitedTool(RELOAD_LIMITS)) {
    this.#place = place;
    this.#log = log;
    this.#run = run;
  }

  /** What they hold from now on. Resolves when that was tried. */
  async set(hosts: readonly HostState[]): Promise<void> {
    this.#wanted = { states: statesText(hosts), weights: weightsText(hosts) };
    await this.#writing.ask();
  }

  /** Writes them now, without a reload. @throws AnyhopError when that fails */
  async setOnce(hosts: readonly HostState[]): Promise<void> {
    this.#wanted = { states: statesText(hosts), weights: weightsText(hosts) };
    this.#place = { ...this.#place, reload: [] };
    try {
      await this.#write();
    } catch (error) {
      if (error instanceof AnyhopError) throw error;
      const { file } = this.#place;
      throw new AnyhopError('ERR_STATE_FILE', `${file} cannot be written: ${reasonOf(error)}`, {
        hint: `Its directory must belong to the user of the DNS server, which runs this: chown -R gdnsd ${dirname(file)}. Or name another place by announce.region_file.`,
        cause: error,
      });
    }
  }

  /** Other places, after a reload of the config: they are written there. Resolves when that was tried. */
  async move(place: FilesPlace): Promise<void> {
    if (JSON.stringify(place) === JSON.stringify(this.#place)) return;
    this.#place = place;
    this.#written = {};
    await this.#writing.ask();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#again);
    await this.#writing.idle();
  }

  async #writeAndRetry(): Promise<void> {
    clearTimeout(this.#again);
    let failure: string | undefined;
    try {
      failure = await this.#write();
    } catch (error) {
      failure = `the files of the regions cannot be written: ${reasonOf(error)}`;
    }
    if (failure !== undefined && failure !== this.#failure)
      this.#log.warn({ event: 'regions_not_written', why: failure }, failure);
    this.#failure = failure;
    if (failure !== undefined && !this.#isClosed)
      this.#again = setTimeout(() => void this.#writing.ask(), AGAIN_MS).unref();
    if (!this.#isClosed) await delay(REGION_WRITE_PAUSE_MS);
  }

  /** @returns why the server did not read them. @throws when they cannot be written: it must not read half of them */
  async #write(): Promise<string | undefined> {
    const { file, reload } = this.#place;
    const wanted = this.#wanted;
    if (wanted === undefined) return undefined;
    requireOwnDirectory(dirname(file), 'ERR_STATE_FILE', 'announce.region_file');
    makeDirectory(dirname(file), DIRECTORY_MODE);
    for (const [name, path] of [
      ['states', file],
      ['weights', weightsFile(file)],
    ] as const) {
      if (this.#written[name] === wanted[name]) continue;
      await replaceOwnFile(path, wanted[name], { mode: FILE_MODE });
      this.#written = { ...this.#written, [name]: wanted[name] };
      this.#isRead = false;
    }
    if (this.#isRead) return undefined;
    const [program, ...args] = reload;
    try {
      if (program !== undefined) await requireTool(this.#run, program, args);
    } catch (error) {
      return `the DNS server did not read the regions anew; gdnsd follows states, not weights, until it does: ${reasonOf(error)}`;
    }
    this.#isRead = true;
    this.#log.info({ event: 'regions_written', file }, `the regions are in ${file}, for the DNS server`);
    return undefined;
  }
}

export interface FilesPlace {
  readonly file: string;
  /** Program and arguments; empty for none. */
  readonly reload: readonly string[];
}
