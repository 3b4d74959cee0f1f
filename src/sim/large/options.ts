/** What a large fleet is simulated with. */
import type { FleetConfig } from '../../config/fleet/types.js';
import type { Spread } from './chance.js';

export interface LargeOptions {
  readonly seed: number;
  readonly nodes: number;
  /** At the start, in pools of BACKENDS_OF_POOL at most, each with a service. */
  readonly backends: number;
  /** Open at any moment. */
  readonly flows: number;
  /** M, prime; the config's default if absent. */
  readonly slots?: number;
  readonly settleMs: number;
  /** Longest life of a connection. */
  readonly lifetimeMs: number;
  readonly endMs: number;
  readonly views: FleetConfig['views'];
  /** Planned changes an hour: additions, drains with the removals that follow, weights. */
  readonly churn: number;
  /** Backends that crash, an hour. */
  readonly crashes: number;
  /** Nodes that restart, an hour. */
  readonly restarts: number;
  /** Losses of connectivity an hour: of nodes to the store, or to backends. */
  readonly partitions: number;
  /** Share of nodes that switch late to a revision. */
  readonly late: number;
  /** Share of health checks that are lost, each by itself. */
  readonly loss: number;
  /** How long a member takes to make a revision ready, from when the store has it. */
  readonly prepare: Spread;
  /** How long it takes to put it in force, from when that is in the store. */
  readonly switch: Spread;
}

export const BACKENDS_OF_POOL = 1000;

/** What is counted apart. */
export const KINDS = [
  'add',
  'drain',
  'remove',
  'weight',
  'late node',
  'crash',
  'recovery',
  'lost checks',
  'blind node',
  'partition',
  'restart',
  'settling',
] as const;
export type Kind = (typeof KINDS)[number];
