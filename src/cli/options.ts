/** Options that several commands share. A command adds them with `addOption` and passes the parsed values to `loadFor`. */
import { networkInterfaces } from 'node:os';
import { type Command, Option } from 'commander';
import { type LoadOptions, loadConfig } from '../config/load.js';
import type { HostInterfaces } from '../config/rules/fleet.js';
import { ENGINE_CHOICES, type EngineChoice, type LoadedConfig, type Role } from '../config/types.js';
import { CONFIG_FILE_DEFAULT } from '../core/limits.js';

export interface ConfigOptions {
  readonly config: string;
}

export interface NodeOptions {
  readonly name?: string;
  readonly interface?: string;
  readonly source?: readonly string[];
}

export interface EngineOptions {
  readonly engine?: EngineChoice;
  readonly bpffs?: string;
}

export interface StateOptions {
  readonly stateDir?: string;
}

export function configOption(): Option {
  return new Option('-c, --config <file>', 'config file').env('ANYHOP_CONFIG').default(CONFIG_FILE_DEFAULT);
}

/** Whether the user has named the config file, by option or environment. */
export function isNamed(command: Command): boolean {
  return command.getOptionValueSource('config') !== 'default';
}

/** For commands that touch the network. Overrides ANYHOP_INTERFACE and the file. */
export function interfaceOption(): Option {
  return new Option(
    '--interface <name>',
    'network interface; overrides the config file (env: ANYHOP_INTERFACE)',
  );
}

/** Settings that differ between nodes of a fleet with one file; for commands that act as one node. */
export function nodeOptions(): Option[] {
  return [
    new Option('--name <name>', 'name of this node; overrides the config file (env: ANYHOP_NODE_NAME)'),
    interfaceOption(),
    // One value per option: a greedy one would take the arguments of `replay`.
    new Option(
      '--source <address>',
      'outer source address or prefix; overrides the config file; give one IPv4 and one IPv6 by repeating it or with ' +
        'a comma (env: ANYHOP_SOURCE)',
    ).argParser((value: string, before: readonly string[] = []) => [...before, value]),
  ];
}

export function engineOptions(): Option[] {
  return [
    new Option('--engine <engine>', 'packet engine; overrides the config file').choices(ENGINE_CHOICES),
    new Option(
      '--bpffs <directory>',
      'BPF file system for the pins of the engine xdp; overrides the config file',
    ),
  ];
}

export function stateOption(): Option {
  return new Option(
    '--state-dir <directory>',
    'directory for state that survives restarts; overrides the config file (env: ANYHOP_STATE_DIR)',
  );
}

/** The interfaces of this machine; undefined if they cannot be read, for example without free descriptors. */
export function hostInterfaces(): HostInterfaces | undefined {
  try {
    return networkInterfaces();
  } catch {
    return undefined; // they are only for warnings
  }
}

/**
 * The config of these options, checked for a role.
 * @throws ConfigError with every problem of the file, the options and the environment
 */
export function loadFor<R extends Role>(
  role: R,
  options: ConfigOptions & NodeOptions & StateOptions,
  more: Pick<LoadOptions<R>, 'host' | 'servesRegions' | 'revision' | 'mayLackFound'> = {},
): LoadedConfig<R> {
  const { config, name, interface: networkInterface, source, stateDir: stateDirectory } = options;
  const overrides = { name, interface: networkInterface, source, stateDirectory };
  return loadConfig(config, { role, overrides, ...more });
}
