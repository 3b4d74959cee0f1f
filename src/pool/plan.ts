/**
 * What a change of a pool would do to its slots and to the flows that are alive when it is rolled out. Pure; counted slot by slot
 * over the tables that the nodes would use, so nothing here is an estimate beyond one: flows are taken to be spread evenly over
 * the hash. It starts from pool states, marks and all, so that it is told of a node in trouble what then really happens.
 *
 * Flows are told apart by the state that they were born in: one of those that OLD remembers, or OLD's own. A flow is found when its
 * backend owns the slot, or is an alternate that the slot's key names.
 *
 * A backend is its address. One that has another name than before is the same machine, in other slots; one that has another address
 * is another machine.
 */
import type { BackendConfig } from '../config/types.js';
import { type EligibilityMode, eligibility } from '../table/eligible.js';
import { type Evenness, evenness } from '../table/evenness.js';
import { NONE } from '../table/layers.js';
import { forEachSegment } from '../table/overlay.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import type { PoolStates } from '../table/state.js';
import { keyedAlternates } from './keyed.js';
import type { StateMember } from './states.js';

/** Flows of one age, as shares of all flows of that age, 0 to 1. */
export interface FlowPlan {
  /** In OLD as it is, or in a state that it remembers. */
  readonly born: 'in_force' | 'remembered';
  /** ISO 8601: until when that state was in force; absent for the one that is, and for `prior:` of a config. */
  readonly bornUntil?: string;
  /** TCP flows whose packets would reach a backend that does not know them. */
  readonly tcpBreakWithoutSecondChance: number;
  /** Those that second chance does not bring back to their backend either. */
  readonly tcpBreakWithSecondChance: number;
  /**
   * The same for those that still live when this change has settled. Who had them before it is then remembered no longer, but for
   * backends that drain.
   */
  readonly tcpBreakOnceSettled: number;
  /** UDP flows that change backends; second chance does not exist for them. */
  readonly udpMove: number;
}

export interface PoolPlan {
  /** Slots in OLD and in NEW. */
  readonly slots: readonly [number, number];
  /** In slots of NEW, and as a share of the hash, whose packets go to another address. Whole numbers when both tables have one size. */
  readonly moved: SlotCount;
  /** The former owner may not own any more, the new one could not before, or one of the two changed weight. */
  readonly unavoidable: SlotCount;
  /** Between two backends that own before and after with the same weight. */
  readonly collateral: SlotCount;
  /** The oldest first. */
  readonly flows: readonly FlowPlan[];
  /** Of OLD's members that drain and have flows from before that; absent when none do. */
  readonly draining?: DrainingPlan;
  readonly mode: readonly [EligibilityMode, EligibilityMode];
  readonly evenness: readonly [Evenness | undefined, Evenness | undefined];
  /** How long NEW remembers what was before, in milliseconds. */
  readonly settleMs: number;
}

/** Flows that are left on backends that drain live on second chance alone. These drain for longer than OLD remembers. */
export interface DrainingPlan {
  readonly backends: readonly string[];
  /** Share of these flows, 0 to 1. */
  readonly tcpBreakWithSecondChance: number;
}

export interface SlotCount {
  readonly slots: number;
  /** 0 to 1. */
  readonly share: number;
}

type States = PoolStates<StateMember>;

/**
 * What rolling out `after` in place of `before` does to one pool. A member with `drained` has no flow left. When `after` remembers nothing,
 * it remembers `before`, what that remembers, and whom its backends drain from.
 *
 * @param settleMs how long `after` remembers what was before
 * @param untilMs when each state that `before` remembers was last in force, where that is known
 */
export function planPool(
  before: States,
  after: States,
  settleMs: number,
  untilMs: readonly number[] = [],
): PoolPlan {
  const draining = drainingBefore(before);
  const undrained = before.state.map(
    (one): StateMember => (draining.has(one.name) ? { ...one, state: 'active' } : one),
  );
  const drainedFrom = draining.size > 0 ? [undrained] : [];
  const is =
    after.remembered.length > 0
      ? after
      : { ...after, remembered: [before.state, ...before.remembered, ...drainedFrom] };
  const oldTables = resolvePool(before);
  const newTables = resolvePool({ ...is, before: oldTables });
  const oldEligible = eligibility(before.state, before.panicThreshold);
  const newEligible = eligibility(is.state, is.panicThreshold);

  const places = new Places();
  const next: NextTables = {
    now: places.reached(newTables),
    settled: places.reached(settledTables(is, is.state, newTables)),
    draining: places.of(is.state.filter(isLeft)),
  };
  const oldOwners = places.owners(oldTables);
  const ages = before.remembered.map(
    (state, i) =>
      new Age(
        { born: 'remembered', ...(untilMs[i] && { bornUntil: new Date(untilMs[i]).toISOString() }) },
        places.owners(settledTables(before, state, oldTables)),
        next,
      ),
  );
  ages.reverse().push(new Age({ born: 'in_force' }, oldOwners, next));
  const [ofDraining] = drainedFrom.map(
    (state) => new Age({ born: 'remembered' }, places.owners(settledTables(before, state), draining), next),
  );
  if (ofDraining !== undefined) ages.push(ofDraining);

  const weightBefore = places.weights(oldEligible.members);
  const weightAfter = places.weights(newEligible.members);
  const isUnchanged = (place: number): boolean =>
    weightBefore.has(place) && weightBefore.get(place) === weightAfter.get(place);

  let total = 0;
  let moved = 0;
  let collateral = 0;
  forEachSegment(before.slots, is.slots, (oldSlot, newSlot, length) => {
    total += length;
    for (const age of ages) age.count(oldSlot, newSlot, length);
    const from = oldOwners[oldSlot];
    const to = next.now.owners[newSlot];
    if (from === to) return;
    moved += length;
    if (from !== NOWHERE && to !== NOWHERE && isUnchanged(from) && isUnchanged(to)) collateral += length;
  });
  const slotCount = (length: number): SlotCount => ({
    slots: (length / total) * is.slots,
    share: length / total,
  });
  if (ofDraining !== undefined) ages.pop();
  return {
    slots: [before.slots, is.slots],
    moved: slotCount(moved),
    unavoidable: slotCount(moved - collateral),
    collateral: slotCount(collateral),
    flows: ages.map((age) => age.plan()),
    ...(ofDraining !== undefined && {
      draining: {
        backends: [...draining],
        tcpBreakWithSecondChance: ofDraining.plan().tcpBreakWithSecondChance,
      },
    }),
    mode: [oldEligible.mode, newEligible.mode],
    evenness: [evenness(oldTables, oldEligible.members), evenness(newTables, newEligible.members)],
    settleMs,
  };
}

/** Names of members that drain and did so in all that is remembered: their flows are older than that. */
function drainingBefore({ state, remembered }: States): ReadonlySet<string> {
  const active = new Set(remembered.flat().flatMap((one) => (one.state === 'active' ? [one.name] : [])));
  return new Set(state.flatMap((one) => (isLeft(one) && !active.has(one.name) ? [one.name] : [])));
}

/** Whether flows are left on a backend that drains. */
function isLeft({ state, weight, drained }: StateMember): boolean {
  return state === 'draining' && weight > 0 && drained !== true;
}

/** Of a pool that has been in this state for long. @param known other tables of the pool */
function settledTables(
  pool: States,
  state: States['state'],
  known?: PoolTables<StateMember>,
): PoolTables<StateMember> {
  return resolvePool({ ...pool, state, remembered: [], before: known });
}

/** In the place of a place: no owner, or none whose flows count. */
const NOWHERE = -1;

/** Tables in which each entry is a place, the number of an address, or NOWHERE. */
interface Reached {
  readonly owners: Int32Array;
  /** Those that keys name. */
  readonly alternates: Int32Array;
}

interface NextTables {
  readonly now: Reached;
  readonly settled: Reached;
  /** Whose flows are remembered until they are drained. */
  readonly draining: ReadonlySet<number>;
}

/** Addresses by number, so that tables of different names can be compared. */
class Places {
  readonly #numbers = new Map<string, number>();

  #of({ address }: BackendConfig): number {
    const number = this.#numbers.get(address.text) ?? this.#numbers.size;
    this.#numbers.set(address.text, number);
    return number;
  }

  /** Who owned each slot. @param only others' flows do not count */
  owners(tables: PoolTables<StateMember>, only?: ReadonlySet<string>): Int32Array {
    const places = tables.members.map((member) =>
      only?.has(member.name) === false ? NOWHERE : this.#of(member),
    );
    return Int32Array.from(tables.owners, (owner) => (owner === NONE ? NOWHERE : places[owner]));
  }

  of(members: readonly StateMember[]): ReadonlySet<number> {
    return new Set(members.map((member) => this.#of(member)));
  }

  /** Where packets go. */
  reached(tables: PoolTables<StateMember>): Reached {
    const places = tables.members.map((member) => this.#of(member));
    const place = (index: number): number => (index === NONE ? NOWHERE : places[index]);
    return {
      owners: Int32Array.from(tables.owners, place),
      alternates: Int32Array.from(keyedAlternates(tables), place),
    };
  }

  weights(members: readonly StateMember[]): ReadonlyMap<number, number> {
    return new Map(members.map((member) => [this.#of(member), member.weight]));
  }
}

/** The flows that were born under one table. */
class Age {
  readonly #born: Pick<FlowPlan, 'born' | 'bornUntil'>;
  readonly #owners: Int32Array;
  readonly #next: NextTables;
  #alive = 0;
  #moved = 0;
  #broken = 0;
  #brokenOnceSettled = 0;

  /** @param owners by slot; flows of NOWHERE do not count */
  constructor(born: Pick<FlowPlan, 'born' | 'bornUntil'>, owners: Int32Array, next: NextTables) {
    this.#born = born;
    this.#owners = owners;
    this.#next = next;
  }

  count(slot: number, newSlot: number, length: number): void {
    const former = this.#owners[slot];
    if (former === NOWHERE) return;
    this.#alive += length;
    const { now, settled, draining } = this.#next;
    const isFoundNow = isFound(former, now, newSlot);
    if (now.owners[newSlot] !== former) this.#moved += length;
    if (!isFoundNow) this.#broken += length;
    if (!(isFoundNow && draining.has(former)) && !isFound(former, settled, newSlot))
      this.#brokenOnceSettled += length;
  }

  plan(): FlowPlan {
    const share = (length: number): number => (this.#alive === 0 ? 0 : length / this.#alive);
    return {
      ...this.#born,
      tcpBreakWithoutSecondChance: share(this.#moved),
      tcpBreakWithSecondChance: share(this.#broken),
      tcpBreakOnceSettled: share(this.#brokenOnceSettled),
      udpMove: share(this.#moved),
    };
  }
}

function isFound(former: number, { owners, alternates }: Reached, slot: number): boolean {
  return (
    owners[slot] === former || alternates[slot] === former || alternates[owners.length + slot] === former
  );
}
