/**
 * Backends that are added and removed on a running node (`anyhop backend add`, `remove`): edits that lie over the text of the config file,
 * so that every rule of a config holds for them. What lies under them is the text that was last taken from the file, not the file as it is
 * by now: somebody may be at work on it. An edit ends when the file says the same, or has no place for it any more.
 *
 *   file --taken--> base text --edits--> text in force --parse--> config in force
 */
import { editedText } from '../config/edit/edit.js';
import { type FoundGroups, withFound } from '../config/edit/found.js';
import type { RuntimeEdit } from '../config/edit/kept.js';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import type { ReadConfig } from './config-file.js';

export interface RuntimeEditsOptions {
  readonly file: string;
  readonly kept: readonly RuntimeEdit[];
  /** @throws ConfigError */
  readonly parse: (text: string) => LoadedConfig<'run'>;
  readonly keep: (edits: readonly RuntimeEdit[]) => Promise<void>;
  readonly log: Logger;
}

export class RuntimeEdits {
  readonly #options: RuntimeEditsOptions;
  #edits: readonly RuntimeEdit[];
  #base = '';
  #problem: string | undefined;

  constructor(options: RuntimeEditsOptions) {
    this.#options = options;
    this.#edits = options.kept;
  }

  get list(): readonly RuntimeEdit[] {
    return this.#edits;
  }

  /** Why they will not survive a restart; undefined when they will. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The node starts with this. */
  begin({ text, edited }: ReadConfig): void {
    this.#base = edited?.base ?? text;
  }

  /** What was read from the file, with the edits over it. @throws ConfigError when they cannot be made in it, or make it wrong */
  over(read: ReadConfig): ReadConfig {
    const { text, edits } = this.#applied(read.text, this.#edits);
    const config = text === read.text ? read.config : this.#options.parse(text);
    return { config, text, edited: { base: read.text, edits } };
  }

  /**
   * What is in force, with more edits, which take the place of earlier ones of the same backend.
   * @throws ConfigError as `over`; AnyhopError ERR_USAGE when there is no such pool or backend, or another one of the name
   */
  and(more: readonly RuntimeEdit[]): ReadConfig {
    const wanted = more.reduce((edits, edit) => this.#with(edits, edit), this.#edits);
    const { text, edits } = this.#applied(this.#base, wanted);
    return { config: this.#options.parse(text), text, edited: { base: this.#base, edits } };
  }

  /** What is in force, with the backends that were found. @throws ConfigError where they cannot be written, or make it wrong */
  withFound(found: FoundGroups): ReadConfig {
    const base = withFound(this.#base, this.#options.file, found);
    const { text, edits } = this.#applied(base, this.#edits);
    return { config: this.#options.parse(text), text, edited: { base, edits } };
  }

  /** It is in force. */
  async accepted({ edited }: ReadConfig): Promise<void> {
    if (edited === undefined) return;
    this.#base = edited.base;
    await this.#keep(edited.edits);
  }

  /**
   * A change that waited was taken back: edits that the pools no longer show go with it.
   * @returns whether there were any
   */
  async forgetUnlike(pools: readonly PoolConfig[]): Promise<boolean> {
    const members = new Map(
      pools.map(({ name, backends }) => [name, new Set(backends.map((one) => one.name))]),
    );
    const left = this.#edits.filter(
      (edit) => (members.get(edit.pool)?.has(nameOf(edit)) ?? false) === (edit.kind === 'add'),
    );
    if (left.length === this.#edits.length) return false;
    await this.#keep(left);
    return true;
  }

  async #keep(edits: readonly RuntimeEdit[]): Promise<void> {
    if (JSON.stringify(edits) === JSON.stringify(this.#edits)) return;
    this.#edits = edits;
    try {
      await this.#options.keep(edits);
      this.#problem = undefined;
    } catch (error) {
      const why = reasonOf(error);
      this.#problem = why;
      this.#options.log.warn(
        { event: 'state_not_kept', why },
        `backends added or removed at runtime will not survive a restart: ${why}`,
      );
    }
  }

  #with(before: readonly RuntimeEdit[], edit: RuntimeEdit): readonly RuntimeEdit[] {
    const { file } = this.#options;
    editedText(this.#applied(this.#base, before).text, file, edit); // what is not there is told
    const others = before.filter((each) => each.pool !== edit.pool || nameOf(each) !== nameOf(edit));
    const alone = [...others, edit];
    return isSo(this.#applied(this.#base, alone).text, file, edit) ? alone : [...before, edit];
  }

  /** @returns also the edits that the text still needs. @throws ConfigError where it is written so that one cannot be made */
  #applied(
    base: string,
    edits: readonly RuntimeEdit[],
  ): { readonly text: string; readonly edits: readonly RuntimeEdit[] } {
    const { file } = this.#options;
    let text = base;
    const needed = edits.filter((edit) => {
      const after = unlessRefused(() => editedText(text, file, edit)) ?? text;
      const isNeeded = after !== text;
      text = after;
      return isNeeded;
    });
    return { text, edits: needed };
  }
}

/** Whether a text says what an edit wants. */
function isSo(text: string, file: string, edit: RuntimeEdit): boolean {
  const after = unlessRefused(() => editedText(text, file, edit));
  return after === undefined ? edit.kind === 'remove' : after === text;
}

/** Undefined when a text has no place for an edit: no such pool or backend, or another one of the name. */
function unlessRefused(edit: () => string): string | undefined {
  try {
    return edit();
  } catch (error) {
    if (error instanceof AnyhopError && error.code === 'ERR_USAGE') return undefined;
    throw error;
  }
}

function nameOf(edit: RuntimeEdit): string {
  return edit.kind === 'add' ? edit.entry.name : edit.backend;
}
