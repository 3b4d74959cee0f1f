/** What the pools of a node need of the rest of it, and what is asked of them. */
import type { Secret } from '../config/secret.js';
import type { LoadedConfig } from '../config/types.js';
import type { Membership, Moment, NamedBackend } from '../pool/membership.js';
import type { Hold } from '../pool/open-changes.js';
import type { BackendFacts } from '../pool/states.js';
import type { Why } from './marks.js';

/** What a change needs of the rest of the node. */
export interface NodeSurroundings {
  /** Resolves when this host may run such a config, as it is now. */
  permit(config: LoadedConfig<'run'>): Promise<void>;
  /** Resolves once each of these has a next hop, or definitely none; they are followed from then on, and no others. */
  reach(backends: readonly NamedBackend[]): Promise<void>;
  /** Resolves once each of these has a first result; they are checked from then on, and no others. */
  check(backends: readonly NamedBackend[]): Promise<void>;
  /** By what is known now of a backend that is reached and checked. */
  readonly why: Why;
  /** What is wrong with one that is up all the same, because the nodes of its fleet have agreed so. */
  readonly butWhy?: Why | undefined;
  /** What is known of a pool's backends beside their marks. */
  facts(pool: string): BackendFacts;
  /** Who of a pool drains and still has connections. */
  holds(pool: string): readonly Hold[];
  /** Publishes what `served` has now. Resolves to undefined, or to why it is not in force. */
  publish(): Promise<unknown>;
  /** A secret that flows were hashed with before, by its fingerprint. */
  formerKey(id: string): Secret | undefined;
  /** Keeps what is remembered. Resolves when it is kept; a failure is logged and no reason to fail. */
  remember(pools: Membership): Promise<void>;
}

/** A change that is asked for: the file, and what becomes of the pools. `next` throws AnyhopError ERR_LIMIT when a queue is full. */
export interface ChangeRequest {
  readonly file: LoadedConfig<'run'>;
  /** Why, for the log; `the config changed` when left out. */
  readonly why?: string;
  readonly next: (before: Membership, at: Moment) => Membership;
}
