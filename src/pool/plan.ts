/**
 * What a change of a pool would do to its slots and to the flows that are alive when it is rolled out. Pure; counted slot by slot
 * over the tables that the nodes would use, so nothing here is an estimate beyond one: flows are taken to be spread evenly over
 * the hash. It starts from pool states, marks and all, so that it is told of a node in trouble what then really happens.
 *
 * The change starts from a settled state unless OLD has a prior state. Then a second change is made before the first (a planned one,
 * or a health mark) has settled, the nodes still resolve alternates against OLD's prior state, and two kinds of flows are alive:
 * those born before both changes, and those born between them, which nobody promised to keep.
 *
 * A backend is its address. One that has another name than before is the same machine, in other slots; one that has another address
 * is another machine.
 */
import type { BackendConfig } from '../config/types.js';
import { keyFacts, namedAlternates } from '../packet/second-chance-key.js';
import { type EligibilityMode, eligibility } from '../table/eligible.js';
import { type Evenness, evenness } from '../table/evenness.js';
import { NONE } from '../table/layers.js';
import { forEachSegment } from '../table/overlay.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import type { PoolStates } from '../table/state.js';
import type { StateMember } from './states.js';

/** Flows of one age, as shares of all flows of that age, 0 to 1. */
export interface FlowPlan {
  /** `before` OLD's own change, or `between` it and this one; a settled OLD has `before` alone. */
  readonly born: 'before' | 'between';
  /** TCP flows whose packets would reach a backend that does not know them. */
  readonly tcpBreakWithoutSecondChance: number;
  /** Those that second chance does not bring back to their backend either. */
  readonly tcpBreakWithSecondChance: number;
  /** The same for those that still live when this change has settled: nobody remembers then who had them before it. */
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
  readonly flows: readonly FlowPlan[];
  /** Of OLD's members that drain and have flows from before that; absent when none do. */
  readonly draining?: DrainingPlan;
  readonly mode: readonly [EligibilityMode, EligibilityMode];
  readonly evenness: readonly [Evenness | undefined, Evenness | undefined];
  /** How long NEW remembers what was before, in milliseconds. */
  readonly settleMs: number;
}

/**
 * Flows that are left on backends that drain live on second chance alone: a slot has two alternates, and where these are other
 * former owners now, the flows are not found any more.
 */
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
 * What rolling out `after` in place of `before` does to one pool. A member with `drained` has no flow left.
 * @param settleMs how long `after` remembers what was before
 */
export function planPool(before: States, after: States, settleMs: number): PoolPlan {
  const former = before.remembered.at(-1);
  const was = before;
  const is = after.remembered.length > 0 ? after : { ...after, remembered: [former ?? before.state] };
  const oldTables = resolvePool(was);
  const newTables = resolvePool(is);
  const oldEligible = eligibility(was.state, was.panicThreshold);
  const newEligible = eligibility(is.state, is.panicThreshold);

  const places = new Places();
  const next: NextTables = {
    now: places.reached(newTables),
    settled: places.reached(settledTables(is, is.state)),
  };
  const ages: Age[] = [];
  if (former !== undefined) {
    ages.push(new Age('before', places.owners(settledTables(was, former)), next));
  }
  const oldOwners = places.owners(oldTables);
  ages.push(new Age(former === undefined ? 'before' : 'between', oldOwners, next));

  const draining = drainingBefore(before);
  if (draining.size > 0) {
    const undrained = was.state.map(
      (one): StateMember => (draining.has(one.name) ? { ...one, state: 'active' } : one),
    );
    ages.push(new Age('before', places.owners(settledTables(was, undrained), draining), next));
  }

  const weightBefore = places.weights(oldEligible.members);
  const weightAfter = places.weights(newEligible.members);
  const isUnchanged = (place: number): boolean =>
    weightBefore.has(place) && weightBefore.get(place) === weightAfter.get(place);

  let total = 0;
  let moved = 0;
  let collateral = 0;
  forEachSegment(was.slots, is.slots, (oldSlot, newSlot, length) => {
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
  const [ofDraining] = draining.size === 0 ? [] : ages.splice(-1);
  return {
    slots: [was.slots, is.slots],
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

/** Names of members that drain and did so in the prior state: their flows are older than that. */
function drainingBefore({ state, remembered }: States): ReadonlySet<string> {
  const former = new Map(remembered.at(-1)?.map((member) => [member.name, member.state]));
  const names = state.flatMap(({ name, state: admin, weight, drained }) => {
    const isLong = admin === 'draining' && (former.get(name) ?? 'draining') === 'draining';
    return isLong && weight > 0 && drained !== true ? [name] : [];
  });
  return new Set(names);
}

/** Of a pool that has been in this state for long. */
function settledTables(pool: States, state: States['state']): PoolTables<StateMember> {
  return resolvePool({ ...pool, state, remembered: [] });
}

/** In the place of a place: no owner, or none whose flows count. */
const NOWHERE = -1;

/** Tables in which each entry is a place, the number of an address, or NOWHERE. */
interface Reached {
  readonly owners: Int32Array;
  /** Those that the key names; NOWHERE for the others. */
  readonly first: Int32Array;
  readonly second: Int32Array;
}

interface NextTables {
  readonly now: Reached;
  readonly settled: Reached;
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

  /** Where packets go. */
  reached({ members, owners, alternates }: PoolTables<StateMember>): Reached {
    const places = members.map((member) => this.#of(member));
    const place = (index: number): number => (index === NONE ? NOWHERE : places[index]);
    const facts = keyFacts(members);
    const slots = owners.length;
    const named = owners.map((owner, slot) =>
      namedAlternates(facts[owner], facts[alternates[slot]], facts[alternates[slots + slot]]),
    );
    return {
      owners: Int32Array.from(owners, place),
      first: Int32Array.from(named, (which, slot) => (which & 1 ? place(alternates[slot]) : NOWHERE)),
      second: Int32Array.from(named, (which, slot) =>
        which & 2 ? place(alternates[slots + slot]) : NOWHERE,
      ),
    };
  }

  weights(members: readonly StateMember[]): ReadonlyMap<number, number> {
    return new Map(members.map((member) => [this.#of(member), member.weight]));
  }
}

/** The flows that were born under one table. */
class Age {
  readonly #born: FlowPlan['born'];
  readonly #owners: Int32Array;
  readonly #next: NextTables;
  #alive = 0;
  #moved = 0;
  #broken = 0;
  #brokenOnceSettled = 0;

  /** @param owners by slot; flows of NOWHERE do not count */
  constructor(born: FlowPlan['born'], owners: Int32Array, next: NextTables) {
    this.#born = born;
    this.#owners = owners;
    this.#next = next;
  }

  count(slot: number, newSlot: number, length: number): void {
    const former = this.#owners[slot];
    if (former === NOWHERE) return;
    this.#alive += length;
    const { now, settled } = this.#next;
    if (now.owners[newSlot] !== former) this.#moved += length;
    if (!isFound(former, now, newSlot)) this.#broken += length;
    if (!isFound(former, settled, newSlot)) this.#brokenOnceSettled += length;
  }

  plan(): FlowPlan {
    const share = (length: number): number => (this.#alive === 0 ? 0 : length / this.#alive);
    return {
      born: this.#born,
      tcpBreakWithoutSecondChance: share(this.#moved),
      tcpBreakWithSecondChance: share(this.#broken),
      tcpBreakOnceSettled: share(this.#brokenOnceSettled),
      udpMove: share(this.#moved),
    };
  }
}

function isFound(former: number, { owners, first, second }: Reached, slot: number): boolean {
  return owners[slot] === former || first[slot] === former || second[slot] === former;
}
