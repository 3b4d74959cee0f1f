/**
 * Pool state: members with weights, admin states and health marks, at one moment. A pure value; its order never
 * matters.
 */

/** `dead` is down for longer than `dead_after`: no longer worth a second chance. */
export type Health = 'up' | 'down' | 'dead';

export interface Member {
  /** Unique within a state; ASCII. Slots follow from it. */
  readonly name: string;
  /** Unique within a state. It tells machines apart, under whatever name; without addresses names do. */
  readonly address?: { readonly text: string } | undefined;
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
  /** Others that were in force within the last settle time, the newest first; empty when all has settled. */
  readonly remembered: readonly (readonly M[])[];
  /**
   * While the flow hash key changes: the states that connections of the former key may be from, the newest first, which is the one that
   * was in force when it changed. `remembered` has those since then.
   */
  readonly underFormerKey?: readonly (readonly M[])[] | undefined;
}

/** One that has the same text is the same machine. */
export function machineOf({ name, address }: Pick<Member, 'name' | 'address'>): string {
  return address?.text ?? name;
}

/** Whether two states in one order have the same owners, and the same marks. How many connections are left plays no part. */
export function isSameState(one: PoolState, other: PoolState): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) {
    const a = one[i];
    const b = other[i];
    if (
      a !== b &&
      (a.name !== b.name ||
        a.weight !== b.weight ||
        a.state !== b.state ||
        a.health !== b.health ||
        a.unreachable !== b.unreachable ||
        machineOf(a) !== machineOf(b))
    ) {
      return false;
    }
  }
  return true;
}
