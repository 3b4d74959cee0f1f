/**
 * The run directory: what HAProxy reads, one directory a generation. A generation is written beside the one in force and checked
 * there; then one rename puts it in force, and another one takes it back.
 *
 *     RUN/                0710 root:HAPROXY     HAProxy may pass through, and change nothing
 *     RUN/g7/             0750 root:HAPROXY     one generation; its files are 0600 and HAProxy's
 *     RUN/current -> g7   what the master reads, at its start and at each reload
 *     RUN/sockets/        0700 HAPROXY          where HAProxy makes its sockets
 *
 * When anyhop is not root, all of it is 0700 and its user's.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { chmod, chown, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../../core/directory.js';
import { AnyhopError, isSystemError } from '../../core/errors.js';
import { SOCKET_PATH_BYTES_MAX } from '../../core/limits.js';
import { requireOwnDirectory } from '../../core/own-directory.js';
import { removeLeftovers } from '../../core/own-file.js';
import { CONFIG_FILE, haproxySockets, type Render, type Rendering } from '../render/rendering.js';
import { cannotWrite, own, writeGeneration } from './generation-files.js';
import type { Identity } from './identity.js';

const CURRENT = 'current';
const NAME = /^g([1-9][0-9]{0,8})$/;
/** Above the run directory: like /run itself. */
const PARENT_MODE = 0o755;
/** HAProxy binds a socket by a temporary name beside it, with its pid: `.4194304.tmp`. */
const SOCKET_SUFFIX_BYTES = 12;
const RANDOM_BYTES = 8;

export interface Generation {
  readonly number: number;
  readonly directory: string;
  /** HAProxy's main file in it. */
  readonly file: string;
  readonly rendering: Rendering;
}

export class Generations {
  readonly run: string;
  /** What the master is told to read. */
  readonly currentFile: string;
  readonly #identity: Identity | undefined;
  #last: number;

  private constructor(run: string, identity: Identity | undefined, last: number) {
    this.run = run;
    this.currentFile = join(run, CURRENT, CONFIG_FILE);
    this.#identity = identity;
    this.#last = last;
  }

  /**
   * Makes the run directory, or takes over one that a former process left.
   * @param run an absolute path
   * @param identity HAProxy's user, when that is another one than this process's
   * @throws AnyhopError ERR_HAPROXY when it cannot be made, its path is too long, or others can write there
   */
  static async open(run: string, identity: Identity | undefined): Promise<Generations> {
    const { directory: sockets, master } = haproxySockets(run);
    if (Buffer.byteLength(master) + SOCKET_SUFFIX_BYTES > SOCKET_PATH_BYTES_MAX) {
      throw new AnyhopError(
        'ERR_HAPROXY',
        `the run directory ${run} has too long a name for a socket in it`,
        {
          hint: `Name a directory of at most ${SOCKET_PATH_BYTES_MAX - SOCKET_SUFFIX_BYTES - (master.length - run.length)} bytes.`,
        },
      );
    }
    try {
      requireOwnDirectory(run, 'ERR_HAPROXY');
      // HAProxy's user must pass through, whatever the umask is.
      if (makeDirectory(dirname(run), PARENT_MODE)) await chmod(dirname(run), PARENT_MODE);
      makeDirectory(run, 0o700);
      await own(run, 0o710, identity);
      makeDirectory(sockets, 0o700);
      await chmod(sockets, 0o700);
      if (identity !== undefined) await chown(sockets, identity.uid, identity.gid);
      await removeLeftovers(run);
      return new Generations(run, identity, Math.max(0, ...numbersIn(run)));
    } catch (error) {
      throw isSystemError(error) ? cannotWrite(run, error) : error;
    }
  }

  /**
   * Writes a new generation, which is not in force yet.
   * @throws AnyhopError ERR_HAPROXY when it cannot be written; nothing of it is left
   */
  async write(render: Render): Promise<Generation> {
    const number = ++this.#last;
    const directory = this.directoryOf(number);
    const rendering = render(directory);
    await writeGeneration(directory, rendering, this.#identity);
    return { number, directory, file: join(directory, CONFIG_FILE), rendering };
  }

  directoryOf(number: number): string {
    return join(this.run, `g${number}`);
  }

  /** Puts a generation in force for the master's next start or reload. @throws AnyhopError ERR_HAPROXY */
  async flip(number: number): Promise<void> {
    const beside = join(
      this.run,
      `${CURRENT}.${process.pid}-${randomBytes(RANDOM_BYTES).toString('hex')}.tmp`,
    );
    try {
      await symlink(`g${number}`, beside);
      await rename(beside, join(this.run, CURRENT));
    } catch (error) {
      await rm(beside, { force: true });
      throw cannotWrite(this.run, error);
    }
  }

  /** The number of the generation that `current` names; undefined without one. */
  current(): number | undefined {
    try {
      return numberOf(readlinkSync(join(this.run, CURRENT)));
    } catch {
      return undefined;
    }
  }

  /** Removes one that is not in force. */
  remove(number: number): Promise<void> {
    return rm(this.directoryOf(number), { recursive: true, force: true });
  }

  /** Removes all generations but these and the current one. @throws AnyhopError ERR_HAPROXY */
  async removeAllBut(kept: ReadonlySet<number>): Promise<void> {
    const current = this.current();
    try {
      for (const number of numbersIn(this.run))
        if (number !== current && !kept.has(number)) await this.remove(number);
    } catch (error) {
      throw cannotWrite(this.run, error);
    }
  }
}

function numbersIn(run: string): number[] {
  return readdirSync(run).flatMap((name) => numberOf(name) ?? []);
}

function numberOf(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}
