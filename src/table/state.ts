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
  readonly unreachable?: true;
  /** Of one that drains: no connection is left on it, so it is no candidate for being above an owner. */
  readonly drained?: boolean;
}

export type PoolState = readonly Member[];
