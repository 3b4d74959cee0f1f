/**
 * A node's life, in four phases:
 *
 *   prepare   what this host must have, what the process before remembered     nothing on the host is changed
 *   start     next hops, first health checks, an engine with the first image, its self-test; a failure takes all of it back
 *   serve     changes make new images, until a signal comes or the engine ends
 *   leave     the engine stops, or forwards on in the kernel; everything else ends
 *
 * The control socket answers from the start on: `anyhop ready` says what is still missing.
 */
import { controlRoutes } from '../api/routes.js';
import { serveControl } from '../api/server.js';
import type { ConfigFileStatus, DiscoveryStatus, FleetStatus, RevisionReport } from '../api/status.js';
import { logWarnings } from '../config/error.js';
import { Hangups } from '../core/hangups.js';
import type { Logger } from '../core/log.js';
import { EventStore } from '../events/store.js';
import type { NodeActions } from './actions.js';
import type { FleetViews } from './agreed-health.js';
import type { ConfigChanges } from './config-changes.js';
import type { ReadConfig } from './config-file.js';
import { Node } from './node.js';
import { prepareHost } from './prepare.js';
import type { RuntimeEdits } from './runtime-edits.js';
import { StoppedWhileStarting } from './signals.js';

export interface RunOptions {
  readonly first: ReadConfig;
  /** Reads the config file again. @throws ConfigError */
  readonly load: () => ReadConfig;
  /** What was added and removed at runtime; undefined in a fleet, which has one config. */
  readonly edits?: RuntimeEdits | undefined;
  /** Pools that have another name in `first` than in the config that was in force before, by the new one. */
  readonly renamed?: ReadonlyMap<string, string>;
  /** Takes over from what is in force, also where flows get other backends by it. */
  readonly force: boolean;
  /** The fleet that the node is in; undefined without one. */
  readonly fleet?: NodeFleet | undefined;
  /** Where sources say which backends there are. */
  readonly discovery?: NodeDiscovery;
  /** Why `first` is not what the file says. */
  readonly refused?: ConfigFileStatus['refused'];
}

/** What a node and its fleet have to do with each other. */
export interface NodeFleet {
  /** Why the fleet does not want this node to serve; undefined when it may. */
  readonly behind: () => string | undefined;
  readonly status: () => FleetStatus;
  /** In force here, as it was signed; undefined for none. */
  readonly revision: () => RevisionReport | undefined;
  /** The node forwards: from now on it follows the fleet. */
  readonly serves: (actions: NodeActions) => void;
  /** What the nodes say of their backends; undefined: this one goes by its own view. */
  readonly views: FleetViews | undefined;
}

/** What asks sources of backends. */
export interface NodeDiscovery {
  /** Empty where others ask, and where no pool has a source. */
  readonly status: () => readonly DiscoveryStatus[];
  /** The node forwards: from now on its backends may change. */
  readonly serves: (config: ConfigChanges) => void;
  /** Nothing may change any more. */
  readonly close: () => Promise<void>;
}

/**
 * Forwards until SIGINT or SIGTERM.
 * @throws AnyhopError when the machine lacks something; nothing is left changed then
 */
export async function runNode(options: RunOptions, outer: Logger): Promise<void> {
  const hangups = new Hangups(); // first of all: SIGHUP would end the process
  const { name, stateDirectory: directory } = options.first.config.node;
  const events = new EventStore({ directory, name, field: 'node.state_dir', log: outer });
  if (options.refused !== undefined)
    events.note('error', 'config_refused', `the last config in force is used: ${options.refused.message}`);
  try {
    await runRecorded(options, hangups, events, events.recorded(outer));
  } catch (error) {
    await events.close(error);
    throw error;
  }
  await events.close();
}

async function runRecorded(
  options: RunOptions,
  hangups: Hangups,
  events: EventStore,
  log: Logger,
): Promise<void> {
  const { config } = options.first;
  logWarnings(config.warnings, log);
  const node = new Node(options, await prepareHost(config, log), events, log);
  const control = await serveControl(config.node.socket, controlRoutes(node.actions), log);
  try {
    const running = await node.start();
    options.fleet?.serves(node.actions);
    options.discovery?.serves(node.actions.config);
    await node.serve(running, hangups);
  } catch (error) {
    if (!(error instanceof StoppedWhileStarting)) throw error;
    const why = error.message;
    log.info({ event: 'stopping', why }, `stopping: ${why}, before anything was changed`);
  } finally {
    await options.discovery?.close();
    await node.leave(control);
    await hangups.close();
  }
}
