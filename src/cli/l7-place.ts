/** Which `anyhop l7 run` a command means: by its run directory, from the option, the config, or the default. */
import { existsSync } from 'node:fs';
import { Option } from 'commander';
import { ConfigError } from '../config/error.js';
import { UnreadableFile } from '../config/file.js';
import { runDirectoryIn } from '../config/l7/run-directory.js';
import { runDirectory } from '../config/l7/schema.js';
import { type LoadOptions, loadConfigWithText, parseConfig } from '../config/load.js';
import { quote } from '../config/path.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { L7_RUN_DIRECTORY_DEFAULT } from '../core/limits.js';
import { controlSocket } from '../l7/place.js';
import { ask, isNobody, tell } from './control-client.js';
import type { ConfigOptions } from './options.js';
import { writeError } from './output.js';

export interface L7PlaceOptions extends ConfigOptions {
  readonly runDir?: string;
}

export function runDirOption(): Option {
  return new Option('--run-dir <directory>', 'run directory of the tier; overrides the config file').env(
    'ANYHOP_L7_RUN_DIR',
  );
}

/**
 * The control socket. Of the config, only `l7.run_dir` counts: other mistakes in the file do not matter.
 * @throws ConfigError when the file is needed and cannot be read
 */
export function l7Socket({ runDir, config }: L7PlaceOptions, isConfigNamed: boolean): string {
  if (runDir !== undefined) return controlSocket(runDir);
  if (!isConfigNamed && !existsSync(config)) return controlSocket(L7_RUN_DIRECTORY_DEFAULT);
  const found = namedIn(config);
  if (found === undefined)
    writeError(
      `anyhop: the config has errors, so the run directory is the default ${L7_RUN_DIRECTORY_DEFAULT}\n`,
    );
  return controlSocket(found ?? L7_RUN_DIRECTORY_DEFAULT);
}

function namedIn(file: string): string | undefined {
  try {
    return runDirectoryIn(file);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    throw new ConfigError([{ file, line: 0, column: 0, field: '', message: error.message }]);
  }
}

/**
 * The config for the process on a proxy host.
 * @param more whether files that this user may not read are listed instead of refused
 * @throws ConfigError with every problem
 */
export function loadL7(options: L7PlaceOptions, more: LoadL7Options = {}): LoadedConfig<'l7'> {
  return loadL7WithText(options, more).config;
}

type LoadL7Options = Pick<LoadOptions<'l7'>, 'mayLeaveUnread' | 'revision'>;

/** The same, and the text of it. @throws ConfigError with every problem */
export function loadL7WithText(
  options: L7PlaceOptions,
  more: LoadL7Options = {},
): { readonly config: LoadedConfig<'l7'>; readonly text: string } {
  requireRunDirectory(options);
  const { config, text } = loadConfigWithText(options.config, { role: 'l7', ...more });
  return { config: placed(config, options), text };
}

/** The config of a text that takes the place of the file's. @throws ConfigError with every problem */
export function parseL7(text: string, options: L7PlaceOptions): LoadedConfig<'l7'> {
  return placed(parseConfig(text, options.config, { role: 'l7' }), options);
}

function placed(config: LoadedConfig<'l7'>, { runDir }: L7PlaceOptions): LoadedConfig<'l7'> {
  return runDir === undefined ? config : { ...config, l7: { ...config.l7, runDirectory: runDir } };
}

function requireRunDirectory({ runDir }: L7PlaceOptions): void {
  const wrong = runDir === undefined ? undefined : runDirectory.safeParse(runDir).error;
  if (wrong !== undefined)
    throw new ConfigError([
      {
        file: 'command line',
        line: 0,
        column: 0,
        field: '--run-dir',
        message: `found ${quote(runDir!)}; expected ${wrong.issues[0]!.message}`,
      },
    ]);
}

/** `GET path`. @throws AnyhopError ERR_SOCKET without an answer; Refusal */
export function askL7(socket: string, path: string): Promise<unknown> {
  return ask(socket, path).catch((error: unknown) => {
    throw explained(socket, error);
  });
}

/** `POST path`. @throws as `askL7` */
export function tellL7(socket: string, path: string, value: object): Promise<unknown> {
  return tell(socket, path, value).catch((error: unknown) => {
    throw explained(socket, error);
  });
}

function explained(socket: string, error: unknown): unknown {
  if (!(error instanceof AnyhopError) || error.code !== 'ERR_SOCKET' || !isNobody(error)) return error;
  return new AnyhopError('ERR_SOCKET', `no "anyhop l7 run" answers on ${socket}`, {
    exitCode: EXIT.failure,
    hint: 'Start it on this host, or name its run directory with --run-dir, or the config with -c.',
    cause: error.cause,
  });
}
