/**
 * How one pool changes over time: what is in force, what was before, what waits. A pure state machine, data in and
 * data out, under a clock that is passed in; change-file.ts keeps it across a restart.
 *
 *   plan()     a new list of members: in force at once when the change before it has settled, else queued
 *   force()    the same without waiting; what it may break is for maglev/risk.ts to say beforehand
 *   mark()     a health mark: in force at once, always
 *   hold()     who drains and still has connections: a planned change waits for these
 *   advance()  time passes: the prior state moves on, and the first of the queue comes into force when it is due
 *
 * The prior state is the pool as it was one settle time ago, members, weights, admin states and health marks together:
 *  - its members are those that were in force at (now - settle time),
 *  - its health marks are, backend by backend, the last that stood for a whole settle time.
 * Where no mark is taken back within a settle time the two are exactly the state at (now - settle time). A mark that
 * is taken back sooner leaves no trace: a backend that was away for a second must not, one settle time later, be away
 * from the prior state for a second, for a planned change in between would have no other memory of its flows.
 * Waiting for the whole pool to rest instead would let one backend that keeps flapping freeze the prior state, and
 * after the second planned change nobody would remember where the flows of the last hours are.
 *
 * What follows, for every slot (test/pool/change-laws.test.ts):
 *  - a single change from a settled state leaves the former owner as alternate, whatever is down or draining;
 *  - after any changes within one settle time, the owner before all of them is still owner or alternate;
 *  - a planned change waits for the planned change before it, for its drains, and for no health mark, so when it will come
 *    into force at the latest is known when it is queued (due.ts).
 *
 * What cannot follow, for a GRE key carries one alternate: flows born between two changes within a settle time may be on
 * a third backend. The smallest case has two backends: one drains, the other fails, and what was born on the second for
 * slots of the first is at risk, 1 / n(n-1) of those flows with n backends. A drain that has settled counts too, for as
 * long as the backend still has connections (Member.drained): beside it, flows born during another backend's health flap
 * are at risk when that is over. maglev/risk.ts tells shares. Nor is anything remembered for longer than a settle time,
 * drains aside (a draining backend stays a candidate of its slots): it should be longer than connections live. And a drain
 * is remembered only where nothing else moves the slot: the alternate is then its owner before that, and the connections
 * that are left on the draining backend break there, a quarter of them when one of four others changes. So planned
 * changes wait until those that drain have no connection left (`hold`), but for the one that ends the drain; a health
 * mark cannot wait.
 *
 * Drain, then remove: two planned changes. The removal waits until the drain has settled and is done. It moves slots of other
 * backends too, since layers are a function of the members (9.7 % of all with 3 backends); for a settle time their
 * former owners are the alternates, as for any change. The drained backend is then no longer a candidate for its
 * former slots: connections that are left on it break, so remove it when it has none. A backend removed without a
 * drain keeps its connections for one settle time.
 */
import { isDeepStrictEqual } from 'node:util';
import { AnyhopError } from '../core/errors.js';
import { CHANGES_QUEUED_MAX } from '../core/limits.js';
import type { Health, Member } from './state.js';

/** A member as a config names it: all but its health, in plain JSON. */
export interface ChangeMember extends Omit<Member, 'health'> {
  /** Underlay address, canonical text. Another address under the same name is another machine. */
  readonly address: string;
  /** Runs `anyhop agent`. */
  readonly agent: boolean;
}

/** A member of a prior state: dead or down makes no difference to who owned what. */
export interface PriorMember extends ChangeMember {
  readonly health: 'up' | 'down';
}

/** What a config says of a pool. */
export interface PoolChange {
  /** In any order; names are unique. */
  readonly members: readonly ChangeMember[];
  /** `prior:` of the config; takes the place of what is remembered for as long as the config has it. */
  readonly prior?: readonly PriorMember[] | undefined;
  /** Marks of members that are new to the pool; up when not named. Others keep the marks that they have. */
  readonly health?: Readonly<Record<string, Health>> | undefined;
}

export interface QueuedChange extends PoolChange {
  readonly plannedAtMs: number;
}

/** Members that were in force. */
export interface PastMembers {
  readonly members: readonly ChangeMember[];
  readonly untilMs: number;
}

export interface Mark {
  readonly name: string;
  readonly health: Health;
  /** Since when the backend is up, or is not. */
  readonly sinceMs: number;
  /** The last mark that stood for a settle time, as of `sinceMs`. */
  readonly rested: 'up' | 'down';
}

/** A member in force that drains and still has connections. A change that does not make it active again waits for it. */
export interface Hold {
  readonly name: string;
  /** Its deadline. */
  readonly untilMs: number;
}

/** All that is known of one pool's changes; plain JSON. Made by `startChanges`, then by the transitions alone. */
export interface PoolChanges {
  readonly settleMs: number;
  /** The latest time seen: time does not run backwards here. */
  readonly nowMs: number;
  /** In force now, sorted by name. */
  readonly members: readonly ChangeMember[];
  /** What was in force within the last settle time, oldest first. */
  readonly past: readonly PastMembers[];
  /** Of all members named anywhere here, sorted by name. */
  readonly marks: readonly Mark[];
  /** In the order in which they were planned. */
  readonly queue: readonly QueuedChange[];
  /** Sorted by name. */
  readonly holds: readonly Hold[];
  /** `prior:` of the config that is in force. */
  readonly override: readonly PriorMember[] | undefined;
}

/**
 * A pool that nothing is remembered of: its present state is the prior one.
 *
 * Times here and below are milliseconds of a clock that goes on across restarts and is not set back within a process:
 * `performance.timeOrigin + performance.now()`.
 *
 * @param settleMs how long a state must have been in force to be the prior one, above 0
 */
export function startChanges(change: PoolChange, settleMs: number, nowMs: number): PoolChanges {
  const members = sorted(change.members);
  const override = sortedPrior(change.prior);
  return withMarks(
    { settleMs, nowMs, members, past: [], marks: [], queue: [], holds: [], override },
    change.health,
  );
}

/**
 * The config was edited. Takes it at once, or queues it while a planned change is settling. A list of members that is
 * in force or waits already drops what was queued after it: that was taken back.
 *
 * @throws AnyhopError ERR_LIMIT when the queue is full
 */
export function plan(changes: PoolChanges, change: PoolChange, nowMs: number): PoolChanges {
  const now = advance(changes, nowMs);
  const members = sorted(change.members);
  const done = known(now, members, change) ?? applied(now, members, change);
  if (done !== undefined) return done;
  const next = endDrains(now, members, change);
  return known(next, members, change) ?? append(next, members, change);
}

/** What is in force or waits already; undefined when it is neither. */
function known(
  now: PoolChanges,
  wanted: readonly ChangeMember[],
  change: PoolChange,
): PoolChanges | undefined {
  const prior = sortedPrior(change.prior);
  const waiting = now.queue.findLastIndex(({ members }) => isDeepStrictEqual(members, wanted));
  if (waiting >= 0) {
    const again = { ...now.queue[waiting], prior };
    return withMarks({ ...now, queue: [...now.queue.slice(0, waiting), again] }, change.health);
  }
  if (!isDeepStrictEqual(now.members, wanted)) return undefined;
  return withMarks({ ...now, queue: [], override: prior }, change.health);
}

/** In force at once; undefined when it has to wait. */
function applied(
  now: PoolChanges,
  wanted: readonly ChangeMember[],
  change: PoolChange,
): PoolChanges | undefined {
  return now.queue.length === 0 && mayCome(now, wanted) ? apply(now, change) : undefined;
}

/**
 * What ends a drain that is not done comes before all that waits, at once if it may: the backends that `wanted` makes active again are
 * so from then on, in each step that waits. Steps that change nothing more are gone, such as the removal that was to follow the drain.
 */
function endDrains(now: PoolChanges, wanted: readonly ChangeMember[], change: PoolChange): PoolChanges {
  const active = new Set(wanted.flatMap(({ name, state }) => (state === 'active' ? [name] : [])));
  const held = new Set(now.holds.map(({ name }) => name));
  const ended = now.members
    .filter(({ name }) => held.has(name) && active.has(name))
    .map((member): ChangeMember => ({ ...member, state: 'active' }));
  if (ended.length === 0) return now;
  const names = new Set(ended.map(({ name }) => name));
  const withoutDrains = (members: readonly ChangeMember[]): ChangeMember[] =>
    sorted([...members.filter(({ name }) => !names.has(name)), ...ended]);
  const first = queued(now, withoutDrains(now.members), change);
  const rest = now.queue.map((one) => ({ ...one, members: withoutDrains(one.members) }));
  const queue = [first, ...rest].filter(
    ({ members }, i, all) => i === 0 || !isDeepStrictEqual(members, all[i - 1].members),
  );
  return advance({ ...now, queue: ofLength(queue) }, now.nowMs);
}

function append(now: PoolChanges, wanted: readonly ChangeMember[], change: PoolChange): PoolChanges {
  const queue = ofLength([...now.queue, queued(now, wanted, change)]);
  return withMarks({ ...now, queue }, change.health);
}

/** @throws AnyhopError ERR_LIMIT when the queue is too long */
function ofLength(queue: readonly QueuedChange[]): readonly QueuedChange[] {
  if (queue.length <= CHANGES_QUEUED_MAX) return queue;
  throw new AnyhopError('ERR_LIMIT', `${CHANGES_QUEUED_MAX} changes are waiting for this pool already`, {
    hint: 'Wait until the first of them is in force, or force the change.',
  });
}

function queued(
  { nowMs }: PoolChanges,
  members: readonly ChangeMember[],
  { prior, health }: PoolChange,
): QueuedChange {
  return { members, prior: sortedPrior(prior), health, plannedAtMs: nowMs };
}

/** Takes a change without waiting. What was queued is dropped: the config that is forced was edited after it. */
export function force(changes: PoolChanges, change: PoolChange, nowMs: number): PoolChanges {
  const now = { ...passTime(changes, nowMs), queue: [] };
  if (!isDeepStrictEqual(now.members, sorted(change.members))) return apply(now, change);
  return withMarks({ ...now, override: sortedPrior(change.prior) }, change.health);
}

/** A health mark, of a member that is in force or waits; marks of others are ignored. Never waits. */
export function mark(changes: PoolChanges, name: string, health: Health, nowMs: number): PoolChanges {
  const now = advance(changes, nowMs);
  return markEach(now, (each) => (each === name ? health : undefined), nowMs);
}

/**
 * Many of them at one moment; the same object when all are as they were.
 * @param healthOf undefined for a member whose mark stays
 */
export function markEach(
  changes: PoolChanges,
  healthOf: (name: string) => Health | undefined,
  nowMs: number,
): PoolChanges {
  const other = ({ name, health }: Mark): Health | undefined => {
    const now = healthOf(name);
    return now === health ? undefined : now;
  };
  if (!changes.marks.some((one) => other(one) !== undefined)) return changes;
  const now = advance(changes, nowMs);
  const marks = now.marks.map((one) => {
    const health = other(one);
    return health === undefined ? one : remark(one, health, now);
  });
  return { ...now, marks };
}

/** Who drains and still has connections, by now; who is not in force, or does not drain, does not count. */
export function hold(changes: PoolChanges, holds: readonly Hold[], nowMs: number): PoolChanges {
  const next = inForceHolds(holds, changes.members).sort(byName);
  return isDeepStrictEqual(next, changes.holds) ? changes : advance({ ...changes, holds: next }, nowMs);
}

/**
 * Time passes. One queued change at most comes into force, and its own settle time starts now: after a pause of the
 * process several may be due, but no node has forwarded by any of them yet.
 */
export function advance(changes: PoolChanges, nowMs: number): PoolChanges {
  const now = passTime(changes, nowMs);
  const [first, ...rest] = now.queue;
  return first === undefined || !mayCome(now, first.members) ? now : apply({ ...now, queue: rest }, first);
}

/** Whether `advance` has something to do by now. */
export function isDue(changes: PoolChanges, nowMs: number): boolean {
  const next = nextAtMs(changes);
  const [first] = changes.queue;
  const isFree = first !== undefined && mayCome({ ...changes, nowMs }, first.members);
  return isFree || (next !== undefined && nowMs >= next);
}

/** Whom the first of the queue waits for, though the change before it has settled. */
export function waitsFor({ queue: [first], holds, nowMs }: PoolChanges): string[] {
  return first === undefined ? [] : keepsWaiting(holds, first.members, nowMs).map(({ name }) => name);
}

/** When the planned change in force has settled, or undefined when it has. */
export function settlesAtMs(changes: PoolChanges): number | undefined {
  const last = changes.past.at(-1);
  return last === undefined ? undefined : last.untilMs + changes.settleMs;
}

/** When `advance` has something to do next, or undefined when the prior state is the present one. */
export function nextAtMs(changes: PoolChanges): number | undefined {
  const times = changes.past.map(({ untilMs }) => untilMs + changes.settleMs);
  const [first] = changes.queue;
  if (first !== undefined)
    times.push(...keepsWaiting(changes.holds, first.members, changes.nowMs).map(({ untilMs }) => untilMs));
  for (const one of changes.marks) {
    if (upOrDown(one.health) !== one.rested) times.push(one.sinceMs + changes.settleMs);
  }
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Whether a planned change may come into force now. */
function mayCome({ past, holds, nowMs }: PoolChanges, wanted: readonly ChangeMember[]): boolean {
  return past.length === 0 && keepsWaiting(holds, wanted, nowMs).length === 0;
}

/** Those that a change would leave draining, or take out. */
export function keepsWaiting(holds: readonly Hold[], wanted: readonly ChangeMember[], nowMs: number): Hold[] {
  const active = new Set(wanted.flatMap(({ name, state }) => (state === 'active' ? [name] : [])));
  return holds.filter(({ name, untilMs }) => nowMs < untilMs && !active.has(name));
}

/** Those of members that drain. */
export function inForceHolds(holds: readonly Hold[], members: readonly ChangeMember[]): Hold[] {
  const draining = new Set(members.flatMap(({ name, state }) => (state === 'draining' ? [name] : [])));
  return holds.filter(({ name }) => draining.has(name));
}

function passTime(changes: PoolChanges, nowMs: number): PoolChanges {
  if (nowMs <= changes.nowMs) return changes;
  const { settleMs } = changes;
  const past = changes.past.filter(({ untilMs }) => nowMs < untilMs + settleMs);
  const marks = changes.marks.map((one) => rest(one, settleMs, nowMs));
  return withMarks({ ...changes, nowMs, past, marks });
}

function apply(changes: PoolChanges, change: PoolChange): PoolChanges {
  const past = [...changes.past, { members: changes.members, untilMs: changes.nowMs }];
  const members = sorted(change.members);
  const holds = inForceHolds(changes.holds, members);
  return withMarks({ ...changes, members, past, holds, override: sortedPrior(change.prior) }, change.health);
}

/** Marks for exactly the members that are named anywhere; those without one are up, or as `health` says. */
function withMarks(changes: PoolChanges, health: Readonly<Record<string, Health>> = {}): PoolChanges {
  const names = new Set<string>();
  for (const { members } of [changes, ...changes.past, ...changes.queue]) {
    for (const { name } of members) names.add(name);
  }
  const known = new Map(changes.marks.map((one) => [one.name, one]));
  const first = new Map(Object.entries(health));
  const marks = [...names].sort().map((name): Mark => {
    const initial = first.get(name) ?? 'up';
    return known.get(name) ?? { name, health: initial, sinceMs: changes.nowMs, rested: upOrDown(initial) };
  });
  return { ...changes, marks };
}

function rest(one: Mark, settleMs: number, nowMs: number): Mark {
  const now = upOrDown(one.health);
  return one.rested === now || nowMs < one.sinceMs + settleMs ? one : { ...one, rested: now };
}

function remark(one: Mark, health: Health, { nowMs }: PoolChanges): Mark {
  const isSame = upOrDown(one.health) === upOrDown(health);
  return { ...one, health, sinceMs: isSame ? one.sinceMs : nowMs };
}

export function upOrDown(health: Health): 'up' | 'down' {
  return health === 'up' ? 'up' : 'down';
}

/** In one order and with these fields alone, so that lists can be compared and read back. */
function sorted(members: readonly ChangeMember[]): ChangeMember[] {
  return members.map(plain).sort(byName);
}

function sortedPrior(members: readonly PriorMember[] | undefined): PriorMember[] | undefined {
  return members?.map((member) => ({ ...plain(member), health: member.health })).sort(byName);
}

function plain({ name, address, weight, state, agent }: ChangeMember): ChangeMember {
  return { name, address, weight, state, agent };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
