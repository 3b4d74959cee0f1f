/**
 * What a change of a pool's config would do to its slots and to the flows that are alive when it is rolled out. Pure;
 * counted slot by slot over the tables that the nodes would use, so nothing here is an estimate beyond one: flows are
 * taken to be spread evenly over the hash.
 *
 * The change starts from a settled state unless OLD has a prior state. Then a second change is made before the first
 * has settled, the nodes still resolve alternates against OLD's prior state, and two kinds of flows are alive: those
 * born before both changes, and those born between them, which nobody promised to keep.
 */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import { poolStatesFromConfig } from '../pool/from-config.js';
import type { Member, PoolState } from '../pool/state.js';
import { type EligibilityMode, eligibility } from './eligible.js';
import { type Evenness, evenness } from './evenness.js';
import { NONE } from './layers.js';
import { forEachSegment, sameNames } from './overlay.js';
import { type PoolTables, resolvePool } from './resolve.js';

/** Flows of one age, as shares of all flows of that age, 0 to 1. */
export interface FlowPlan {
  /** `before` OLD's own change, or `between` it and this one; a settled OLD has `before` alone. */
  readonly born: 'before' | 'between';
  /** TCP flows whose packets would reach a backend that does not know them. */
  readonly tcpBreakWithoutSecondChance: number;
  /** Those that second chance does not bring back to their backend either. */
  readonly tcpBreakWithSecondChance: number;
  /** UDP flows that change backends; second chance does not exist for them. */
  readonly udpMove: number;
}

export interface PoolPlan {
  /** Slots in OLD and in NEW. */
  readonly slots: readonly [number, number];
  /** In slots of NEW, and as a share of the hash. Whole numbers when both tables have one size. */
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
}

/**
 * Flows that are left on backends that drain live on second chance alone: a slot has one alternate, and where it is another
 * backend's former owner now, these are not found any more.
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

/**
 * What rolling out `after` in place of `before` does to one pool. Health marks: all up, as in a config.
 * @param isDrained whether a backend that drains is known to have no flow left
 */
export function planPool(
  before: PoolConfig,
  after: PoolConfig,
  isDrained: (backend: string) => boolean = () => false,
): PoolPlan {
  const drained = ({ name }: BackendConfig): boolean => isDrained(name);
  const old = poolStatesFromConfig(before, undefined, drained);
  const next = poolStatesFromConfig(after, undefined, drained);
  const oldPrior = old.prior ?? old.state;
  const oldTables = resolve(before, old.state, oldPrior);
  const newTables = resolve(after, next.state, next.prior ?? oldPrior);
  const oldEligible = eligibility(old.state, before.panicThreshold);
  const newEligible = eligibility(next.state, after.panicThreshold);

  const remembered = after.prior ?? before.prior ?? before.backends;
  const ages: Age[] = [];
  if (before.prior !== undefined) {
    ages.push(
      new Age('before', resolve(before, oldPrior, oldPrior), before.prior, newTables, after, remembered),
    );
  }
  const born = before.prior === undefined ? 'before' : 'between';
  ages.push(new Age(born, oldTables, before.backends, newTables, after, remembered));

  const draining = drainingBefore(before, isDrained);
  if (draining.size > 0) {
    const undrained = old.state.map(
      (one): Member => (draining.has(one.name) ? { ...one, state: 'active' } : one),
    );
    const tables = resolve(before, undrained, undrained);
    ages.push(new Age('before', tables, before.backends, newTables, after, remembered, draining));
  }

  const weightBefore = new Map(oldEligible.members.map(({ name, weight }) => [name, weight]));
  const weightAfter = new Map(newEligible.members.map(({ name, weight }) => [name, weight]));
  const isUnchanged = (name: string): boolean =>
    weightBefore.has(name) && weightBefore.get(name) === weightAfter.get(name);
  const [fromUnchanged, toUnchanged] = [oldTables, newTables].map(({ names }) => names.map(isUnchanged));
  const sameAs = sameNames(oldTables.names, newTables.names);

  let total = 0;
  let moved = 0;
  let collateral = 0;
  forEachSegment(before.tableSize, after.tableSize, (oldSlot, newSlot, length) => {
    total += length;
    for (const age of ages) age.count(oldSlot, newSlot, length);
    const from = oldTables.owners[oldSlot];
    const to = newTables.owners[newSlot];
    if (from === NONE ? to === NONE : to !== NONE && sameAs[from] === to) return;
    moved += length;
    if (from !== NONE && to !== NONE && fromUnchanged[from] && toUnchanged[to]) collateral += length;
  });
  const slotCount = (length: number): SlotCount => ({
    slots: (length / total) * after.tableSize,
    share: length / total,
  });
  return {
    slots: [before.tableSize, after.tableSize],
    moved: slotCount(moved),
    unavoidable: slotCount(moved - collateral),
    collateral: slotCount(collateral),
    flows: ages.filter((age) => age.ofAll).map((age) => age.plan()),
    ...(draining.size > 0 && {
      draining: {
        backends: [...draining],
        tcpBreakWithSecondChance: ages.at(-1)!.plan().tcpBreakWithSecondChance,
      },
    }),
    mode: [oldEligible.mode, newEligible.mode],
    evenness: [evenness(oldTables, oldEligible.members), evenness(newTables, newEligible.members)],
  };
}

/** Names of members that drain and did so in the prior state: their flows are older than that. */
function drainingBefore(
  { backends, prior }: PoolConfig,
  isDrained: (backend: string) => boolean,
): ReadonlySet<string> {
  const former = new Map(prior?.map(({ name, state }) => [name, state]));
  const names = backends.flatMap(({ name, state, weight }) => {
    const isLong = state === 'draining' && (former.get(name) ?? 'draining') === 'draining';
    return isLong && weight > 0 && !isDrained(name) ? [name] : [];
  });
  return new Set(names);
}

function resolve(pool: PoolConfig, state: PoolState, prior: PoolState): PoolTables {
  return resolvePool({ slots: pool.tableSize, state, prior, panicThreshold: pool.panicThreshold });
}

/** The flows that were born under one table: all, or those of some backends. */
class Age {
  readonly ofAll: boolean;
  /** By index of the former owner: 1 for one whose flows count. */
  readonly #counts: Uint8Array;
  readonly #born: FlowPlan['born'];
  readonly #owners: Uint16Array;
  readonly #newOwners: Uint16Array;
  readonly #alternates: Uint16Array;
  /** By index of the former owner: its index in the new tables if it is still reached there, else NONE. */
  readonly #reached: Uint16Array;
  /** By index in the new tables: it runs an agent, which takes part in second chance. */
  readonly #hasAgent: readonly boolean[];
  #alive = 0;
  #moved = 0;
  #broken = 0;

  /** `members` own slots in `tables`; `remembered` is the prior state that the new tables were resolved against. */
  constructor(
    born: FlowPlan['born'],
    tables: PoolTables,
    members: readonly BackendConfig[],
    newTables: PoolTables,
    after: PoolConfig,
    remembered: readonly BackendConfig[],
    only?: ReadonlySet<string>,
  ) {
    this.ofAll = only === undefined;
    this.#counts = Uint8Array.from(tables.names, (name) => (only === undefined || only.has(name) ? 1 : 0));
    this.#born = born;
    this.#owners = tables.owners;
    this.#newOwners = newTables.owners;
    this.#alternates = newTables.alternates;
    // A backend that NEW leaves out is reached as it is remembered; one that has a new address is another machine.
    const reachable = new Map([...remembered, ...after.backends].map((backend) => [backend.name, backend]));
    const address = new Map(members.map((backend) => [backend.name, backend.address.text]));
    this.#reached = sameNames(tables.names, newTables.names).map((index, former) => {
      const name = tables.names[former];
      return reachable.get(name)?.address.text === address.get(name) ? index : NONE;
    });
    this.#hasAgent = newTables.names.map((name) => reachable.get(name)!.agent);
  }

  count(slot: number, newSlot: number, length: number): void {
    const former = this.#owners[slot];
    if (former === NONE || this.#counts[former] === 0) return;
    this.#alive += length;
    const reached = this.#reached[former];
    const owner = this.#newOwners[newSlot];
    if (reached !== NONE && reached === owner) return;
    this.#moved += length;
    const isKept =
      reached !== NONE &&
      reached === this.#alternates[newSlot] &&
      owner !== NONE &&
      this.#hasAgent[owner] &&
      this.#hasAgent[reached];
    if (!isKept) this.#broken += length;
  }

  plan(): FlowPlan {
    const share = (length: number): number => (this.#alive === 0 ? 0 : length / this.#alive);
    return {
      born: this.#born,
      tcpBreakWithoutSecondChance: share(this.#moved),
      tcpBreakWithSecondChance: share(this.#broken),
      udpMove: share(this.#moved),
    };
  }
}
