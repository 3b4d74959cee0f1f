/**
 * Pool state: members with weights, admin states and health marks, at one moment. A pure value; its order never
 * matters.
 */

/** `dead` is down for longer than `dead_after`: no longer worth a second chance. */
export type Health = 'up' | 'down' | 'dead';

export interface Member {
  /** Stable identity, unique within the pool; ASCII. */
  readonly name: string;
  /** 0 to WEIGHT_MAX; 0 takes no part in the table. */
  readonly weight: number;
  readonly state: 'active' | 'draining';
  readonly health: Health;
  /** No packet gets there from here, whatever its check says: link, route or neighbour is missing. Such a member is not up. */
  readonly unreachable?: true | undefined;
  /** Of one that drains: no connection is left on it, so it is no candidate for being above an owner. */
  readonly drained?: boolean | undefined;
}

export type PoolState = readonly Member[];

/** All that a pool's tables come from (resolve.ts). */
export interface PoolStates<M extends Member = Member> {
  /** M, a prime up to TABLE_SIZE_MAX. */
  readonly slots: number;
  /** Share of active members (0 to 1) below which health marks are ignored; 0, never, when absent. */
  readonly panicThreshold?: number | undefined;
  /** In force now. */
  readonly state: readonly M[];
  /** In force a settle time ago; undefined when all has settled, and it is the present one. */
  readonly prior?: readonly M[] | undefined;
}
