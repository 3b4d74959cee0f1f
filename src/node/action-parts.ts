/** What the actions of a node share: the parts that they work on, and how a change of the pools is made and answered. */
import { type ChangeReport, ControlError, type EventsReport } from '../api/api.js';
import type { Feed } from '../api/followers.js';
import type { ConfigFileStatus, NodeStatus, Readiness, RevisionReport } from '../api/status.js';
import type { Logger } from '../core/log.js';
import type { Engine } from '../engine/contract.js';
import type { EventsQuery } from '../events/ring.js';
import type { BackendFacts } from '../pool/states.js';
import { reportOf } from './change-reports.js';
import { ConfigFile, type ReadConfig } from './config-file.js';
import type { NodeDefence } from './defence.js';
import type { Forwarding } from './forwarding.js';
import type { KnownKeys } from './known-keys.js';
import type { NodePools } from './node-pools.js';
import { refusal } from './plans.js';
import type { RuntimeEdits } from './runtime-edits.js';
import type { ChangeRequest } from './surroundings.js';

/** What there is once the node forwards. */
export interface Forwarded {
  readonly engine: Engine;
  readonly forwarding: Forwarding;
  status(): Promise<NodeStatus>;
}

export interface NodeActionsOptions {
  readonly pools: NodePools;
  readonly defence: NodeDefence;
  /** Reads the config file again. @throws ConfigError */
  readonly load: () => ReadConfig;
  /** What lies over the file; undefined in a fleet. */
  readonly edits: RuntimeEdits | undefined;
  /** A config is in force. @returns warnings */
  readonly accepted: (read: ReadConfig, force: boolean) => Promise<readonly string[]>;
  readonly keys: KnownKeys;
  readonly readiness: () => Readiness;
  /** Of the fleet, in force here. */
  readonly revision: () => RevisionReport | undefined;
  readonly following: Feed;
  readonly events: (query: EventsQuery) => EventsReport;
  /** Why what the node remembers is not kept; undefined when it is. */
  readonly unkept: () => string | undefined;
  readonly facts: (pool: string) => BackendFacts;
  /** Whether the drain of a backend is done. */
  readonly isDrained: (pool: string, backend: string) => boolean;
  /** Undefined until the node forwards. */
  readonly forwarded: () => Forwarded | undefined;
  readonly configFile: ConfigFileStatus;
  readonly now: () => number;
  readonly log: Logger;
}

export interface ActionParts extends NodeActionsOptions {
  /** With what lies over it. */
  readonly file: ConfigFile;
}

export function actionParts(options: NodeActionsOptions): ActionParts {
  const { load, edits, configFile, log } = options;
  return { ...options, file: new ConfigFile(() => edits?.over(load()) ?? load(), configFile, log) };
}

/** @throws ControlError 503 while the node starts */
export function started({ forwarded, readiness }: ActionParts): Forwarded {
  const there = forwarded();
  if (there !== undefined) return there;
  throw new ControlError(503, 'ERR_STARTING', `the node starts: ${readiness().reasons.join('; ')}`, {
    hint: '`anyhop ready --wait 30` waits for it.',
  });
}

/** Changes the pools. @throws ControlError when that is refused, or fails; what was in force stays */
export async function change(parts: ActionParts, request: () => ChangeRequest): Promise<ChangeReport> {
  const { forwarding } = started(parts);
  const done = await parts.pools.change(request).catch((error: unknown) => {
    throw refusal(error);
  });
  const unkept = parts.unkept();
  const warnings = unkept === undefined ? [] : [`this will not survive a restart of the node: ${unkept}`];
  return { generation: forwarding.image.generation, pools: done.map(reportOf), changes: [], warnings };
}
