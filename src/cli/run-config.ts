/** The config that `anyhop run` starts with: that of the file, or the last one that was in force. */
import { ConfigError } from '../config/error.js';
import { parseConfig } from '../config/load.js';
import { stateDirectoryIn } from '../config/state-directory.js';
import { readClocks } from '../core/clock.js';
import { AnyhopError } from '../core/errors.js';
import { STATE_DIRECTORY_DEFAULT } from '../core/limits.js';
import type { Logger, LogLevel } from '../core/log.js';
import { clockTime } from '../core/time.js';
import { losses } from '../node/change-reports.js';
import type { ReadConfig } from '../node/config-file.js';
import type { RunOptions } from '../node/run.js';
import { lastGoodConfig, lastMemory } from '../node/state-store.js';
import { takenIdsAtRestart } from '../node/taken-ids.js';
import { renamedPools } from '../pool/renames.js';
import {
  type ConfigOptions,
  type EngineOptions,
  hostInterfaces,
  type NodeOptions,
  type StateOptions,
} from './options.js';

export interface RunCommandOptions extends ConfigOptions, NodeOptions, StateOptions, EngineOptions {
  readonly logLevel: LogLevel;
  readonly force?: true;
}

/**
 * The config to start with: that of the file. If the file is wrong, or needs a reload with --force, the last config in force is
 * used instead. A node that crashes during an edit must come back, and a restart must not apply what a reload has refused.
 * @throws ConfigError when the file is wrong and there is no earlier config
 * @throws AnyhopError when the file gives away the id of a remembered machine and there is no earlier config
 */
export function firstConfig(
  load: () => ReadConfig,
  options: RunCommandOptions,
  log: Logger,
): Omit<RunOptions, 'load' | 'force'> {
  const read = loaded(load);
  const directory = read instanceof ConfigError ? stateDirectory(options) : read.config.node.stateDirectory;
  const good = directory === undefined ? undefined : lastGood(directory, options);
  if (read instanceof ConfigError) {
    if (good === undefined) throw read;
    const whatToDo = 'correct the file, then run `anyhop reload`';
    return startWith(good, read.message, whatToDo, { file: options.config, problems: read.problems }, log);
  }
  const clocks = readClocks();
  const { name, stateDirectory: kept } = read.config.node;
  const taken = takenIdsAtRestart(
    good?.first.config,
    read.config,
    lastMemory(kept, name, clocks),
    clocks.nowMs,
  );
  if (good === undefined) {
    if (taken.length === 0) return { first: read };
    throw new AnyhopError('ERR_CONFIG', taken.map((each) => `${options.config}: ${each}`).join('\n'), {
      hint: 'Give the new backends other ids, or start again when the settle time is over.',
    });
  }
  const { config } = good.first;
  const lost = losses(config, read.config);
  if (lost.length + taken.length === 0) return { first: read, renamed: renamedPools(config, read.config) };
  const why = [...taken, ...lost].map((each) => `${options.config}: ${each}`).join('\n');
  const whatToDo =
    taken.length > 0
      ? 'give the new backends other ids, then run `anyhop reload`'
      : '`anyhop reload --force` applies the file';
  return startWith(good, why, whatToDo, { file: options.config }, log);
}

function loaded(load: () => ReadConfig): ReadConfig | ConfigError {
  try {
    return load();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

interface LastGood {
  readonly first: ReadConfig;
  readonly keptAt: Date;
}

function startWith(
  { first, keptAt }: LastGood,
  why: string,
  whatToDo: string,
  fields: object,
  log: Logger,
): Omit<RunOptions, 'load' | 'force'> {
  log.error(
    { event: 'config_refused', ...fields },
    `${why}\nThe node starts with the last config that was in force, of ${clockTime(keptAt.toISOString())}; ${whatToDo}`,
  );
  return { first, refused: { at: new Date().toISOString(), message: why } };
}

/**
 * The directory of the last good config of a wrong file: from options and environment, or from the file, as far as it can be
 * read. Undefined if unclear: another directory would have an older copy.
 */
function stateDirectory({ stateDir, config }: RunCommandOptions): string | undefined {
  const said = stateDir ?? process.env['ANYHOP_STATE_DIR'];
  if (said) return said;
  const inFile = stateDirectoryIn(config);
  if (inFile === 'unclear') return undefined;
  return inFile === 'none' ? STATE_DIRECTORY_DEFAULT : inFile.path;
}

/** Undefined without one, or when it is no longer good: a file that it names may be gone. */
function lastGood(directory: string, options: RunCommandOptions): LastGood | undefined {
  const good = lastGoodConfig(directory, options.config);
  if (good === undefined) return undefined;
  const { text, key, keptAt } = good;
  try {
    return {
      first: { config: parseConfig(text, options.config, { ...loadOptions(options), key }), text },
      keptAt,
    };
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

export function loadOptions({
  name,
  interface: networkInterface,
  source,
  stateDir,
  engine,
  bpffs,
}: RunCommandOptions) {
  return {
    role: 'run' as const,
    overrides: { name, interface: networkInterface, source, stateDirectory: stateDir, engine, bpffs },
    host: hostInterfaces(),
  };
}
