/**
 * What two nodes see differently, by their statuses, and what that does to connections that a router moves from one to the
 * other: for that, both nodes' tables are resolved anew from what the statuses say, slot by slot. Pure.
 */

import type {
  BackendStatus,
  DrainStatus,
  NodeStatus,
  PoolStatus,
  QueuedStatus,
  ServiceStatus,
} from '../api/status.js';
import type { SlotCount } from '../pool/plan.js';
import { renamedPools } from '../pool/renames.js';
import { NONE } from '../table/layers.js';
import { forEachSegment } from '../table/overlay.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import { type Member, machineOf } from '../table/state.js';

/** The part of a status that is compared. */
export type ComparedNode = Pick<NodeStatus, 'node' | 'keyFingerprint' | 'flowHashVersion'> & {
  readonly services: readonly ComparedService[];
  readonly pools: readonly ComparedPool[];
};
export type ComparedService = Pick<
  ServiceStatus,
  'name' | 'vip' | 'protocol' | 'portFirst' | 'portLast' | 'pool' | 'hash' | 'secondChance'
>;
export type ComparedPool = Pick<
  PoolStatus,
  'name' | 'slots' | 'panicThreshold' | 'remembered' | 'digests'
> & {
  readonly backends: readonly ComparedBackend[];
  readonly change: {
    readonly settlesAt?: string;
    readonly queued: readonly Pick<QueuedStatus, 'changes'>[];
  };
};
export type ComparedBackend = Pick<
  BackendStatus,
  'name' | 'address' | 'weight' | 'state' | 'health' | 'healthReason' | 'reachable'
> & { readonly drain?: Pick<DrainStatus, 'connections' | 'done'> } & Partial<
    Pick<BackendStatus, 'id' | 'hasAgent'>
  >;

/** Of the one node and of the other; null for what is not there. */
export type Pair = readonly [string | null, string | null];

export interface Difference {
  /** A backend or service; absent for what is a pool's own. */
  readonly of?: string;
  readonly what: string;
  readonly values: Pair;
}

export interface SlotDiff {
  /** With another owner. Slots are those of the first node's table. */
  readonly owners: SlotCount;
  /**
   * Of these, those in which a connection would not be found even with second chance: the owner on the first node is neither
   * owner nor alternate on the second; the other way round.
   */
  readonly lost: readonly [SlotCount, SlotCount];
}

export interface PoolDiff {
  readonly pool: string;
  readonly same: boolean;
  /** Whether they agree; absent, as `slots`, for a pool that one of the nodes does not have. */
  readonly digests?: { readonly owners: boolean; readonly alternates: boolean };
  readonly differences: readonly Difference[];
  readonly slots?: SlotDiff;
  /**
   * Whether each status leads to the digest that it names. It does not while a node is changing, or when another version runs:
   * the slots are counted by what the status says even so.
   */
  readonly reproduced?: readonly [boolean, boolean];
}

export interface NodeDiff {
  readonly nodes: readonly [string, string];
  readonly same: boolean;
  /** Whether they have the same secret; otherwise every flow has another slot on each. */
  readonly sameKey: boolean;
  /** Flows have other slots by another one, too. */
  readonly flowHashVersions: readonly [number, number];
  readonly services: readonly Difference[];
  /** Those of either node, by name. */
  readonly pools: readonly PoolDiff[];
}

/** Nodes do not take a change at the very same moment; settle times that end further apart are told. */
const SETTLE_SKEW_MS_MAX = 5_000;

/** @throws RangeError for statuses that no node tells, as resolvePool */
export function diffNodes(a: ComparedNode, b: ComparedNode): NodeDiff {
  const sameKey = a.keyFingerprint === b.keyFingerprint;
  const services = differing(a.services, b.services, [['service', drawService]]);
  const names = renamedPools(namesOf(b), namesOf(a));
  const nameOnA = new Map([...names].map(([ofA, ofB]) => [ofB, ofA]));
  const pools = pairs(a.pools, b.pools, ({ name }) => nameOnA.get(name) ?? name).map(([one, other]) =>
    diffPools(one, other),
  );
  return {
    nodes: [a.node, b.node],
    sameKey,
    flowHashVersions: [a.flowHashVersion, b.flowHashVersion],
    same:
      sameKey &&
      a.flowHashVersion === b.flowHashVersion &&
      services.length === 0 &&
      pools.every(({ same }) => same),
    services,
    pools,
  };
}

/** As much as tells which pools are the same under two names. */
function namesOf({ pools, services }: ComparedNode): Parameters<typeof renamedPools>[0] {
  return { pools, services: services.map((service) => ({ ...service, vip: { text: service.vip } })) };
}

function diffPools(a: ComparedPool | undefined, b: ComparedPool | undefined): PoolDiff {
  if (a === undefined || b === undefined) {
    const values: Pair = [a === undefined ? null : 'present', b === undefined ? null : 'present'];
    return { pool: (a ?? b)!.name, same: false, differences: [{ what: 'pool', values }] };
  }
  const digests = {
    owners: a.digests.owners === b.digests.owners,
    alternates: a.digests.alternates === b.digests.alternates,
  };
  const differences = [
    ...ofPool(a, b),
    ...differing(a.backends, b.backends, BACKEND),
    ...ofRemembered(a.remembered, b.remembered),
  ];
  const [ofA, ofB] = [resolve(a), resolve(b)];
  return {
    pool: a.name,
    same: digests.owners && digests.alternates && differences.length === 0,
    digests,
    differences,
    slots: countSlots(a, b, ofA, ofB),
    reproduced: [ofA.ownersDigest === a.digests.owners, ofB.ownersDigest === b.digests.owners],
  };
}

function ofPool(a: ComparedPool, b: ComparedPool): Difference[] {
  const list: Difference[] = [];
  const compare = (what: string, value: (pool: ComparedPool) => string | null): void => {
    const values: Pair = [value(a), value(b)];
    if (values[0] !== values[1]) list.push({ what, values });
  };
  compare('name', ({ name }) => name);
  compare('table size', ({ slots }) => String(slots));
  compare('panic threshold', ({ panicThreshold }) => String(panicThreshold));
  const [settlesA, settlesB] = [a, b].map(({ change }) => Date.parse(change.settlesAt ?? ''));
  // One that settles and one that does not are NaN apart.
  if (!(Math.abs(settlesA - settlesB) <= SETTLE_SKEW_MS_MAX)) {
    compare('settles at', ({ change }) => change.settlesAt ?? null);
  }
  const queued = ({ change }: ComparedPool): string =>
    change.queued.map(({ changes }) => changes.join(', ')).join('; ');
  compare('queued', (pool) => queued(pool) || null);
  return list;
}

/** What is told of one thing, and how. */
type Aspect<T> = readonly [what: string, draw: (of: T) => string | undefined, told?: (of: T) => string];

const BACKEND: readonly Aspect<ComparedBackend>[] = [
  ['address', ({ address }) => address],
  // GRE keys follow from these two. Former versions say neither.
  ['id', ({ id }) => id?.toString()],
  ['agent', ({ hasAgent }) => hasAgent?.toString()],
  ['weight', ({ weight }) => String(weight)],
  ['state', (backend) => (isDrained(backend) ? 'drained' : backend.state)],
  [
    'health',
    ({ health }) => health,
    ({ health, healthReason }) => (healthReason === undefined ? health : `${health}: ${healthReason}`),
  ],
];

/** What differs between things of one name; for one that only one node has, all that is told of it. */
function differing<T extends { readonly name: string }>(
  a: readonly T[],
  b: readonly T[],
  aspects: readonly Aspect<T>[],
): Difference[] {
  return pairs(a, b).flatMap(([one, other]): Difference[] =>
    aspects.flatMap(([what, draw, told = draw]) => {
      const drawn = [one, other].flatMap((each) => (each === undefined ? [] : [draw(each)]));
      if (drawn.includes(undefined) || (drawn.length === 2 && drawn[0] === drawn[1])) return [];
      const tell = (each: T | undefined) => (each === undefined ? null : (told(each) ?? null));
      const values: Pair = [tell(one), tell(other)];
      return [{ of: (one ?? other)!.name, what, values }];
    }),
  );
}

/** As the node's own tables have it (node/drains.ts). */
function isDrained({ state, drain }: ComparedBackend): boolean {
  return state === 'draining' && drain?.done === true && drain.connections === 0;
}

function drawService(service: ComparedService): string {
  const { vip, protocol, portFirst, portLast, pool, hash, secondChance } = service;
  const hashed = `hash ${hash}${secondChance ? ', second chance' : ''}`;
  return `${vip} ${protocol} ${portFirst === portLast ? portFirst : `${portFirst}-${portLast}`}, pool ${pool}, ${hashed}`;
}

type Remembered = PoolStatus['remembered'];

/** As many as both have, the newest first. */
function ofRemembered(a: Remembered, b: Remembered): Difference[] {
  const counts: Pair = [String(a.length), String(b.length)];
  return [
    ...(a.length === b.length ? [] : [{ what: 'remembered states', values: counts }]),
    ...a.slice(0, b.length).flatMap((state, i) => {
      const what = i === 0 ? 'last state' : `state ${i + 1} back`;
      return differing(state, b[i], [[what, drawMember]]);
    }),
  ];
}

function drawMember({ address, weight, state, health }: Remembered[number][number]): string {
  return `${address}, weight ${weight}, ${state}, ${health}`;
}

/**
 * The things of either list, those of one name together, by name.
 * @param nameOnA the name that a thing of the second list has in the first
 */
function pairs<T extends { readonly name: string }>(
  a: readonly T[],
  b: readonly T[],
  nameOnA = ({ name }: T): string => name,
): (readonly [T | undefined, T | undefined])[] {
  const ofA = new Map(a.map((one) => [one.name, one]));
  const ofB = new Map(b.map((one) => [nameOnA(one), one]));
  const names = [...new Set([...ofA.keys(), ...ofB.keys()])].sort();
  return names.map((name) => [ofA.get(name), ofB.get(name)]);
}

function resolve({ slots, panicThreshold, remembered, backends }: ComparedPool): PoolTables {
  const state = backends.map((backend): Member => {
    const member = memberOf(backend);
    return isDrained(backend) ? { ...member, drained: true } : member;
  });
  return resolvePool({
    slots,
    panicThreshold,
    state,
    remembered: remembered.map((one) => one.map(memberOf)),
  });
}

function memberOf({
  name,
  address,
  weight,
  state,
  health,
  reachable,
}: Pick<ComparedBackend, 'name' | 'address' | 'weight' | 'state' | 'health' | 'reachable'>): Member {
  return {
    name,
    address: { text: address },
    weight,
    state,
    health,
    ...(!reachable && { unreachable: true }),
  };
}

function countSlots(a: ComparedPool, b: ComparedPool, ofA: PoolTables, ofB: PoolTables): SlotDiff {
  const toB = sameMachines(ofA, ofB);
  const toA = sameMachines(ofB, ofA);
  let [total, differ, lostOnB, lostOnA] = [0, 0, 0, 0];
  forEachSegment(a.slots, b.slots, (slotA, slotB, length) => {
    total += length;
    const [ownerA, ownerB] = [ofA.owners[slotA], ofB.owners[slotB]];
    if (ownerA === NONE ? ownerB === NONE : ownerB !== NONE && toB[ownerA] === ownerB) return;
    differ += length;
    if (ownerA !== NONE && !isAlternate(toB[ownerA], ofB, slotB)) lostOnB += length;
    if (ownerB !== NONE && !isAlternate(toA[ownerB], ofA, slotA)) lostOnA += length;
  });
  const count = (length: number): SlotCount => ({
    slots: (length / total) * a.slots,
    share: length / total,
  });
  return { owners: count(differ), lost: [count(lostOnB), count(lostOnA)] };
}

function isAlternate(former: number, { owners, alternates }: PoolTables, slot: number): boolean {
  return former !== NONE && (alternates[slot] === former || alternates[owners.length + slot] === former);
}

/** For each member its number in `others`, NONE for one that is not there. */
function sameMachines({ members }: PoolTables, others: PoolTables): Uint16Array {
  const numbers = new Map(others.members.map((member, i) => [machineOf(member), i]));
  return Uint16Array.from(members, (member) => numbers.get(machineOf(member)) ?? NONE);
}
