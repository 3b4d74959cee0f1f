/** `anyhop run`: forward packets, in the foreground. */
import { Command, Option } from 'commander';
import { ConfigError } from '../config/error.js';
import { loadConfigWithText, parseConfig } from '../config/load.js';
import { stateDirectoryIn } from '../config/state-directory.js';
import type { ReadConfig } from '../control/actions.js';
import { type RunOptions, runNode } from '../control/node.js';
import { lastGoodConfig } from '../control/state-store.js';
import { STATE_DIRECTORY_DEFAULT } from '../core/limits.js';
import { createLog, LOG_LEVELS, type Logger, type LogLevel } from '../core/log.js';
import {
  type ConfigOptions,
  configOption,
  type NodeOptions,
  nodeOptions,
  type StateOptions,
  stateOption,
} from './options.js';

interface RunCommandOptions extends ConfigOptions, NodeOptions, StateOptions {
  readonly logLevel: LogLevel;
}

export function runCommand(): Command {
  const command = new Command('run')
    .summary('forward packets on an interface')
    .description(
      'Forwards packets for the configured services until SIGINT or SIGTERM, then logs its final counters. Logs go to ' +
        'standard error, one JSON object a line (readable text on a terminal). While it runs, the host itself does ' +
        'not see packets for the VIPs; everything else on the interface is left alone. What it does meanwhile: ' +
        '`anyhop status`.',
    )
    .addOption(configOption())
    .addOption(new Option('--log-level <level>', 'least level to log').choices(LOG_LEVELS).default('info'))
    .addHelpText(
      'after',
      `
Needs root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK, and a route to every backend. The engine
(node.engine) is the fastest that works here; the log says which, and why.
Told to stop, it is first not ready ("anyhop ready") and forwards on for node.stop_delay; a second signal ends that. Then
SIGINT (Ctrl-C) takes everything back. After SIGTERM the engine xdp forwards on in the kernel until the next "anyhop run" takes
over or "anyhop stop" ends it; the others take everything back too. SIGHUP reads the config file anew, as "anyhop reload" does.
What must outlive the process (prior states, waiting changes, what was said at runtime) is kept in --state-dir.
Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong config or usage, 3 the machine lacks something.

Examples:
  anyhop check -c anyhop.yaml && anyhop run -c anyhop.yaml
  anyhop run -c fleet.yaml --name edge-2 --interface eth1 --source 10.0.0.2`,
    )
    .action(async (options: RunCommandOptions) => {
      const log = createLog(options.logLevel);
      const load = (): ReadConfig => loadConfigWithText(options.config, loadOptions(options));
      await runNode({ ...firstConfig(load, options, log), load }, log);
    });
  for (const option of [...nodeOptions(), stateOption()]) command.addOption(option);
  return command;
}

/**
 * The config to start with: that of the file, or, when the file is wrong, the last one that was good. A node that crashed
 * while somebody was editing must come back.
 * @throws ConfigError when the file is wrong and there was none before
 */
function firstConfig(
  load: () => ReadConfig,
  options: RunCommandOptions,
  log: Logger,
): Pick<RunOptions, 'first' | 'refused'> {
  try {
    return { first: load() };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const good = lastGoodConfig(stateDirectory(options), options.config);
    const config = good === undefined ? undefined : parseGood(good.text, options);
    if (good === undefined || config === undefined) throw error;
    log.error(
      { event: 'config_refused', file: options.config, problems: error.problems },
      `${error.message}\nThe node starts with the last config that was good, of ${good.keptAt.toISOString()}; mend the file, ` +
        'then `anyhop reload`',
    );
    return {
      first: { config, text: good.text },
      refused: { at: new Date().toISOString(), message: error.message },
    };
  }
}

/** Where the last good config is: what says so beside the file, or the file itself, as far as it can be read. */
function stateDirectory({ stateDir, config }: RunCommandOptions): string {
  const said = stateDir ?? process.env['ANYHOP_STATE_DIR'];
  return said || (stateDirectoryIn(config) ?? STATE_DIRECTORY_DEFAULT);
}

/** Undefined when it is good no more: a file that it names may be gone. */
function parseGood(text: string, options: RunCommandOptions): ReadConfig['config'] | undefined {
  try {
    return parseConfig(text, options.config, loadOptions(options));
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

function loadOptions({ name, interface: networkInterface, source, stateDir }: RunCommandOptions) {
  return {
    role: 'run' as const,
    overrides: { name, interface: networkInterface, source, stateDirectory: stateDir },
  };
}
