/** `anyhop run`: forwards packets, in the foreground. */
import { Command, Option } from 'commander';
import { keepEdits, keptEdits } from '../config/edit/kept.js';
import { ConfigError } from '../config/error.js';
import { revisionDirectory } from '../config/fleet/kept.js';
import { keyFingerprint } from '../config/key-fingerprint.js';
import { loadConfigWithText, parseConfig, type RevisionText } from '../config/load.js';
import { stateDirectoryIn } from '../config/state-directory.js';
import { readClocks } from '../core/clock.js';
import { AnyhopError } from '../core/errors.js';
import { FLEET_MESSAGE_CHARS_MAX, STATE_DIRECTORY_DEFAULT } from '../core/limits.js';
import { createLog, LOG_LEVELS, type Logger, type LogLevel } from '../core/log.js';
import { clockTime } from '../core/time.js';
import { forbidDumps } from '../ffi/process.js';
import type { Follower } from '../fleet/follower.js';
import type { NodeActions } from '../node/actions.js';
import { losses } from '../node/change-reports.js';
import type { ReadConfig } from '../node/config-file.js';
import { type RunOptions, runNode } from '../node/run.js';
import { RuntimeEdits } from '../node/runtime-edits.js';
import { lastGoodConfig, lastMemory } from '../node/state-store.js';
import { takenIdsAtRestart } from '../node/taken-ids.js';
import { renamedPools } from '../pool/renames.js';
import { LoneDiscovery } from './discover-node.js';
import { findFirst } from './discover-own.js';
import { isInFleet } from './fleet-file.js';
import { askedSiblings } from './fleet-siblings.js';
import {
  type ConfigOptions,
  configOption,
  type EngineOptions,
  engineOptions,
  hostInterfaces,
  type NodeOptions,
  nodeOptions,
  type StateOptions,
  stateOption,
} from './options.js';

interface RunCommandOptions extends ConfigOptions, NodeOptions, StateOptions, EngineOptions {
  readonly logLevel: LogLevel;
  readonly force?: true;
}

export function runCommand(): Command {
  const command = new Command('run')
    .summary('forward packets on an interface')
    .description(
      'Forwards packets for the configured services until SIGINT or SIGTERM, then logs its final counters. Logs go to ' +
        'standard error, one JSON object a line (readable text on a terminal). While it runs, packets for the VIPs do not ' +
        'reach the host; everything else on the interface does. `anyhop status` shows its state.',
    )
    .addOption(configOption())
    .addOption(new Option('--log-level <level>', 'lowest level to log').choices(LOG_LEVELS).default('info'))
    .option('--force', 'take over from a program with another version of the flow hash; connections break')
    .addHelpText(
      'after',
      `
It needs a route to every backend, and root or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK. With engine auto
it uses the fastest engine that works here; the log says which, and why.
On a signal to stop, the node first becomes not ready ("anyhop ready") and keeps forwarding for node.stop_delay. A second signal skips
this delay. SIGINT (Ctrl-C) then ends forwarding. After SIGTERM, the engine xdp keeps forwarding in the kernel until the next
"anyhop run" takes over or "anyhop stop" ends it; with the other engines, forwarding ends. SIGHUP reads the config file again, as
"anyhop reload" does. --state-dir keeps what must survive a restart: remembered states, changes that wait, and overrides.
Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong config or usage, 3 the machine lacks something.

Examples:
  anyhop check -c anyhop.yaml && anyhop run -c anyhop.yaml
  anyhop run -c fleet.yaml --name edge-2 --interface eth1 --source 10.0.0.2`,
    )
    .action(async (options: RunCommandOptions) => {
      const log = createLog(options.logLevel);
      forbidDumps(log);
      if (isInFleet(options.config)) {
        await runInFleet(options, log);
        return;
      }
      const { config: file, stateDir } = options;
      const directory = revisionDirectory(file, stateDir);
      const place = { kind: 'pool', file, directory, log } as const;
      await findFirst(place);
      const load = (): ReadConfig => loadConfigWithText(options.config, loadOptions(options));
      const edits = runtimeEdits(options, log);
      const first = firstConfig(() => edits.over(load()), options, log);
      edits.begin(first.first);
      const discovery = new LoneDiscovery({ edits, place });
      await runNode({ ...first, load, edits, discovery, force: options.force === true }, log);
    });
  for (const option of [...nodeOptions(), ...engineOptions(), stateOption()]) command.addOption(option);
  return command;
}

function runtimeEdits(options: RunCommandOptions, log: Logger): RuntimeEdits {
  const { config: file, stateDir } = options;
  const directory = revisionDirectory(file, stateDir);
  return new RuntimeEdits({
    file,
    kept: keptEdits(directory, file),
    parse: (text) => parseConfig(text, file, loadOptions(options)),
    keep: (edits) => keepEdits(directory, file, edits),
    log,
  });
}

/** The same for a node whose config is that of its fleet. */
async function runInFleet(options: RunCommandOptions, log: Logger): Promise<void> {
  const { join, RevisionReader, telling } = await import('./fleet-join.js');
  const { fleetDigest } = await import('../fleet/digest.js');
  const { config: file, name, stateDir } = options;
  const kept = lastGoodConfig(revisionDirectory(file, stateDir), file)?.key;
  const keyOfLast = kept && keyFingerprint(kept.reveal());
  let running: NodeActions | undefined;
  const read = (revision: RevisionText): ReadConfig => {
    const keyInForce = running?.keys().inForce ?? keyOfLast;
    return loadConfigWithText(file, { ...loadOptions(options), keyInForce, revision });
  };
  const { member, first, views, discovery } = await join({
    role: 'forwarder',
    file,
    name,
    stateDir,
    read: (revision) => read(revision).config,
    siblings: (revision) => askedSiblings(read(revision).config.node),
    log,
  });
  let inForce = first;
  const knows = ({ number }: RevisionText): void => {
    if (views !== undefined) views.revision = number;
  };
  knows(first);
  const load = (): ReadConfig => read(inForce);
  const reader = new RevisionReader(read);
  const follow = (actions: NodeActions): void => {
    running = actions;
    member.serve(
      telling({
        prepare: async ({ force }, text) => {
          const { config, waits } = await actions.config.prepare({ force, load: () => reader.anew(text) });
          return { digest: fleetDigest(config), waits };
        },
        release: () => {
          reader.forget();
          actions.config.release();
        },
        activate: async (_, text) => {
          // What may be lost by it was asked when it was prepared; what it waited for, the fleet waited for.
          knows(text);
          try {
            await actions.config.take({ force: true, load: () => reader.again(text) });
            inForce = text;
          } finally {
            knows(inForce);
          }
          reader.forget();
          actions.config.release();
        },
        recall: (missed) =>
          actions.config.recall(
            missed.map((text) => ({
              number: text.number,
              untilMs: text.untilMs,
              load: () => read(text),
            })),
          ),
        standing: () => ({
          ...standingOf(actions),
          ...(discovery.publicKey && { publicKey: discovery.publicKey }),
        }),
      }),
    );
  };
  try {
    const fleet = {
      behind: () => member.behind,
      status: () => member.status,
      revision: () => member.inForce,
      serves: follow,
      views,
    };
    const started = firstConfig(load, options, log);
    await runNode({ ...started, load, force: options.force === true, fleet, discovery }, log);
  } finally {
    await views?.close();
    await member.close();
  }
}

function standingOf(actions: NodeActions): ReturnType<Follower['standing']> {
  const { ready, reasons } = actions.ready();
  const owners = actions.owners();
  const keys = actions.keys();
  return {
    ready,
    ...(!ready && { reason: reasons.join('; ').slice(0, FLEET_MESSAGE_CHARS_MAX) }),
    owners,
    keys,
  };
}

/**
 * The config to start with: that of the file. If the file is wrong, or needs a reload with --force, the last config in force is
 * used instead. A node that crashes during an edit must come back, and a restart must not apply what a reload has refused.
 * @throws ConfigError when the file is wrong and there is no earlier config
 * @throws AnyhopError when the file gives away the id of a remembered machine and there is no earlier config
 */
function firstConfig(
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

function loadOptions({
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
