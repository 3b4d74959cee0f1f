/**
 * Tells when something changes in the directories of list files. Of a directory and not of a file: most writers put a new file in the
 * place of the old one. Where the kernel does not tell (no directory yet, no inotify left, a network file system), files are looked at
 * in their interval alone.
 */
import { type FSWatcher, watch } from 'node:fs';

export class DirectoryWatches {
  readonly #changed: (directory: string) => void;
  readonly #watches = new Map<string, FSWatcher>();

  constructor(changed: (directory: string) => void) {
    this.#changed = changed;
  }

  /** Watches these and no others. Called again, it also renews watches that have ended. */
  use(directories: ReadonlySet<string>): void {
    for (const [directory, watcher] of this.#watches) {
      if (directories.has(directory)) continue;
      watcher.close();
      this.#watches.delete(directory);
    }
    for (const directory of directories) if (!this.#watches.has(directory)) this.#watch(directory);
  }

  close(): void {
    this.use(new Set());
  }

  #watch(directory: string): void {
    let watcher: FSWatcher;
    try {
      watcher = watch(directory, { persistent: false });
    } catch {
      return;
    }
    const ended = (): void => {
      watcher.close();
      if (this.#watches.get(directory) === watcher) this.#watches.delete(directory);
    };
    watcher.on('error', ended);
    watcher.on('change', (_event, name) => {
      // Its own name: the directory itself was removed or renamed.
      if (name === directory.slice(directory.lastIndexOf('/') + 1)) ended();
      this.#changed(directory);
    });
    this.#watches.set(directory, watcher);
  }
}
