/**
 * What of a node outlives its process, in `node.state_dir`:
 *
 *   NAME.json            what it remembers of its pools
 *   NAME-keys.json       the secrets that these refer to
 *   config-DIGEST.json   the last good config file, with its key. The digest is of the file's path, so that a node finds it when it cannot
 *                        read its name from the file.
 *
 * Each file is replaced as a whole (core/own-file.ts). A failure to write is logged and costs the memory alone: a forwarder with a
 * full disk forwards. A directory that others can write is refused (core/own-directory.ts).
 */
import { createHash } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { KEY_PATTERN } from '../config/schema.js';
import { Secret } from '../config/secret.js';
import type { Clocks } from '../core/clock.js';
import { makeDirectory } from '../core/directory.js';
import { AnyhopError } from '../core/errors.js';
import { STATE_DIRECTORY_DEFAULT } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { readOwnFile, removeLeftovers, replaceOwnFile } from '../core/own-file.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { SerialQueue } from '../core/serial-queue.js';
import { readMemory, writeMemory } from '../pool/change-file.js';
import type { PoolMemory } from '../pool/membership.js';
import { KnownKeys } from './known-keys.js';

const DIRECTORY_MODE = 0o700;
const PATH_DIGEST_CHARS = 16;

export class StateStore {
  readonly keys: KnownKeys;
  readonly #directory: string;
  readonly #file: string;
  readonly #log: Logger;
  readonly #clocks: () => Clocks;
  readonly #writes = new Rerun(() => this.#write());
  #pools: ReadonlyMap<string, PoolMemory> = new Map();
  #memory = '';
  readonly #keeping = new SerialQueue();
  #complained: string | undefined;

  /** @param directory absolute; made when it is not there */
  constructor(directory: string, node: string, log: Logger, clocks: () => Clocks) {
    this.#directory = directory;
    this.#file = memoryFile(directory, node);
    this.keys = new KnownKeys(join(directory, `${node}-keys.json`));
    this.#log = log;
    this.#clocks = clocks;
  }

  /**
   * What a process before this one remembered; nothing when there was none. A file that cannot be used is logged and set aside
   * as NAME.json.bad: a node without a memory forwards, and remembers nothing from before.
   * @throws AnyhopError ERR_STATE_FILE when others can write in the directory
   */
  async read(): Promise<ReadonlyMap<string, PoolMemory>> {
    requireSafe(this.#directory);
    try {
      await removeLeftovers(this.#directory);
      this.#readKeys();
      return readMemory(readOwnFile(this.#file).text, this.#clocks());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
      const why = reasonOf(error);
      this.#log.error(
        { event: 'state_unusable', file: this.#file, why },
        `${this.#file}: ${why}; nothing from before is remembered of its pools`,
      );
      if (error instanceof AnyhopError)
        await rename(this.#file, `${this.#file}.bad`).catch((cause: unknown) => this.#complain(cause));
      return new Map();
    }
  }

  #readKeys(): void {
    const { file } = this.keys;
    const why = this.keys.read();
    if (why !== undefined)
      this.#log.error(
        { event: 'state_unusable', file, why },
        `${file}: ${why}; a former flow hash key is known only as far as node.key_file has its secret`,
      );
  }

  /** Why what is written is not kept; undefined when it is. */
  get problem(): string | undefined {
    return this.#complained;
  }

  /** Resolves when this or something newer is kept, or when that has failed. */
  async write(pools: ReadonlyMap<string, PoolMemory>): Promise<void> {
    this.#pools = pools;
    this.#memory = writeMemory(pools, this.#clocks());
    await this.#writes.ask();
  }

  /** Keeps the text of a config file that is in force, and its secret; one after the other. */
  keepConfig(path: string, text: string, key: Secret): Promise<void> {
    return this.#keeping.add(async () => {
      try {
        this.#makeDirectory();
        const digits = Buffer.from(key.reveal()).toString('hex');
        await replaceOwnFile(configCopy(this.#directory, path), `${JSON.stringify({ text, key: digits })}\n`);
        await this.#forgetElsewhere(path);
      } catch (error) {
        this.#complain(error);
      }
    });
  }

  async #write(): Promise<void> {
    try {
      this.#makeDirectory();
      await this.keys.keep(this.#pools); // before what refers to them
      await replaceOwnFile(this.#file, this.#memory);
      this.#complained = undefined;
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Removes a copy from before the file named a state_dir: the place where it is looked for when the file cannot be read. */
  async #forgetElsewhere(path: string): Promise<void> {
    if (this.#directory !== STATE_DIRECTORY_DEFAULT)
      await rm(configCopy(STATE_DIRECTORY_DEFAULT, path), { force: true }).catch(() => undefined); // another user's is not ours
  }

  #makeDirectory(): void {
    requireSafe(this.#directory);
    makeDirectory(this.#directory, DIRECTORY_MODE);
  }

  /** Once for each reason. */
  #complain(error: unknown): void {
    const why = reasonOf(error);
    if (why === this.#complained) return;
    this.#complained = why;
    this.#log.warn(
      { event: 'state_not_kept', directory: this.#directory, why },
      `what this node remembers will not survive a restart: ${why}; node.state_dir names another place`,
    );
  }
}

const kept = z.object({ text: z.string(), key: z.string().regex(KEY_PATTERN) });

export interface GoodConfig {
  readonly text: string;
  /** The secret that was in force with it, which key_file may no longer hold. */
  readonly key: Secret;
  readonly keptAt: Date;
}

/**
 * The last good text of a config file, or undefined.
 * @throws AnyhopError ERR_STATE_FILE when others can write in the directory: it could be theirs
 */
export function lastGoodConfig(directory: string, path: string): GoodConfig | undefined {
  requireSafe(directory);
  try {
    const { text: file, writtenAt } = readOwnFile(configCopy(directory, path));
    const { text, key } = kept.parse(JSON.parse(file));
    return { text, key: new Secret(Buffer.from(key, 'hex')), keptAt: writtenAt };
  } catch {
    return undefined; // the caller says what is wrong with the config file
  }
}

/**
 * What a process before this one remembered, to look at before a config is chosen: nothing where it cannot be used. StateStore.read
 * says why.
 * @throws AnyhopError ERR_STATE_FILE when others can write in the directory
 */
export function lastMemory(directory: string, node: string, clocks: Clocks): ReadonlyMap<string, PoolMemory> {
  requireSafe(directory);
  try {
    return readMemory(readOwnFile(memoryFile(directory, node)).text, clocks);
  } catch {
    return new Map();
  }
}

function memoryFile(directory: string, node: string): string {
  return join(directory, `${node}.json`);
}

function requireSafe(directory: string): void {
  try {
    requireOwnDirectory(directory, 'ERR_STATE_FILE', 'node.state_dir');
  } catch (error) {
    if (error instanceof AnyhopError) throw error;
    // Reading and writing say so when a part of the path is no directory, or closed to this user.
  }
}

/**
 * By the path that was named, wherever links on it lead: where deployments switch a link (a Kubernetes ConfigMap's `..data`),
 * the last good text is that of another target, and each target would leave a copy of the secret behind.
 */
function configCopy(directory: string, path: string): string {
  const digest = createHash('sha256').update(resolve(path)).digest('hex').slice(0, PATH_DIGEST_CHARS);
  return join(directory, `config-${digest}.json`);
}
