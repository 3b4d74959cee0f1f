/**
 * Where in the state directory is kept what was read of list files (kept-list.ts): beside the file of prefixes that were said at runtime,
 * under its name and a digest of list and path, as long as the config names that path. A failure to write costs that alone.
 */
import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import type { ListsCompiler } from './compiler.js';
import { keyOf, type ListFile } from './list-file.js';
import type { ListedVerdict } from './runtime-entries.js';

const DIGEST_CHARS = 16;
/** The end of a name. */
const IS_KEPT = new RegExp(`^[0-9a-f]{${DIGEST_CHARS}}\\.bin$`);

export class KeptFiles {
  readonly #directory: string;
  readonly #prefix: string;
  readonly #log: Logger;
  #complained: string | undefined;

  /** @param file of prefixes that were said at runtime */
  constructor(file: string, log: Logger) {
    this.#directory = dirname(file);
    this.#prefix = `${basename(file, '.json')}-`;
    this.#log = log;
  }

  fileOf(list: ListedVerdict, path: string): string {
    const digest = createHash('sha256').update(keyOf({ list, path })).digest('hex').slice(0, DIGEST_CHARS);
    return join(this.#directory, `${this.#prefix}${digest}.bin`);
  }

  /** Keeps what is new. Resolves when it is kept, or that has failed. */
  async keep(files: readonly ListFile[], compiler: ListsCompiler): Promise<void> {
    const fresh = files.flatMap((file) => {
      const { toKeep: list } = file;
      return list === undefined ? [] : [{ file, list }];
    });
    if (fresh.length === 0) return;
    const problems = await compiler
      .keep(fresh.map(({ list }) => list))
      .catch((error: unknown) => fresh.map(() => reasonOf(error)));
    for (const [i, { file, list }] of fresh.entries()) if (problems[i] === undefined) file.kept(list);
    const why = problems.find((problem) => problem !== undefined);
    if (why !== undefined && why !== this.#complained)
      this.#log.warn(
        { event: 'state_not_kept', directory: this.#directory, why },
        `what was read of lists will not survive a restart: ${why}; node.state_dir names another place`,
      );
    this.#complained = why;
  }

  /** Removes what is kept of all other files. */
  async forgetAllBut(files: readonly ListFile[]): Promise<void> {
    const named = new Set(files.map(({ list, path }) => basename(this.fileOf(list, path))));
    const names = await readdir(this.#directory).catch(() => []);
    for (const name of names)
      if (this.#isKept(name) && !named.has(name))
        await rm(join(this.#directory, name), { force: true }).catch(() => undefined);
  }

  #isKept(name: string): boolean {
    return name.startsWith(this.#prefix) && IS_KEPT.test(name.slice(this.#prefix.length));
  }
}
