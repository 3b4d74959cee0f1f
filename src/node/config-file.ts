/** The node's config file: when what is in force was read, how it is read again, and why that was last refused. */
import { ControlError } from '../api/api.js';
import type { ConfigFileStatus } from '../api/status.js';
import type { RuntimeEdit } from '../config/edit/kept.js';
import { ConfigError, formatProblem } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { Served } from './assemble.js';
import { losses, restartFields, restartHint } from './change-reports.js';
import { TAKEN_ID_HINT, takenIds } from './taken-ids.js';

export interface ReadConfig {
  readonly config: LoadedConfig<'run'>;
  readonly text: string;
  /** Where backends were added or removed at runtime (runtime-edits.ts): the text without that, and what of it still differs. */
  readonly edited?: { readonly base: string; readonly edits: readonly RuntimeEdit[] };
}

const LOSS_HINT =
  '`anyhop reload --force` takes it all the same. A restart does not: the node then starts with the config that is in force now.';

export class ConfigFile {
  readonly #load: () => ReadConfig;
  readonly #log: Logger;
  #status: ConfigFileStatus;

  /** @param load reads the file again, or throws ConfigError */
  constructor(load: () => ReadConfig, status: ConfigFileStatus, log: Logger) {
    this.#load = load;
    this.#status = status;
    this.#log = log;
  }

  get status(): ConfigFileStatus {
    return this.#status;
  }

  /**
   * @param node settings in force
   * @throws ControlError 422 for a config that is wrong, 409 for one that takes a restart
   */
  read(node: LoadedConfig<'run'>['node'], load = this.#load): ReadConfig {
    const read = readValid(load);
    const differing = restartFields(node, read.config.node);
    if (differing.length === 0) return read;
    throw new ControlError(
      409,
      'ERR_RESTART',
      `${read.config.file}: ${differing.join(', ')} cannot change while the node runs; the config in force stays`,
      { hint: restartHint(differing) },
    );
  }

  /**
   * Reads as `read` does, for a reload.
   * @param served what is in force, and remembered
   * @throws ControlError 409 also when it breaks what only force may, or gives an id away too soon
   */
  readToReload(inForce: LoadedConfig<'run'>, served: Served, force: boolean, load = this.#load): ReadConfig {
    const read = this.read(inForce.node, load);
    const taken = takenIds(served, read.config);
    if (taken.length > 0)
      throw new ControlError(409, 'ERR_ID', `${read.config.file}: ${taken.join('; ')}`, {
        hint: TAKEN_ID_HINT,
      });
    const lost = force ? [] : losses(inForce, read.config);
    if (lost.length === 0) return read;
    throw new ControlError(409, 'ERR_BREAKS', `${read.config.file}: ${lost.join('; ')}`, { hint: LOSS_HINT });
  }

  /** What was read is in force. */
  accepted({ config }: ReadConfig): void {
    this.#status = { file: config.file, loadedAt: new Date().toISOString() };
  }

  /** What was read is not in force, or could not be read. */
  refused(error: unknown): void {
    const problems = error instanceof ControlError ? error.problems : undefined;
    const said = error instanceof Error ? error.message : String(error);
    const message = problems === undefined ? said : problems.map(formatProblem).join('\n');
    this.#status = { ...this.#status, refused: { at: new Date().toISOString(), message } };
    const { hint } = error as { hint?: string };
    this.#log.error(
      { event: 'reload_refused', ...(hint !== undefined && { hint }) },
      `reload refused, what was in force stays: ${message}`,
    );
  }
}

function readValid(load: () => ReadConfig): ReadConfig {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { problems } = error;
    const count = `${problems.length} problem${problems.length === 1 ? '' : 's'}`;
    throw new ControlError(422, 'ERR_CONFIG', `the config file has ${count}; the config in force stays`, {
      problems,
      hint: '`anyhop check` tells when the file is good.',
    });
  }
}
