/**
 * How one pool changes over time: what is in force, what was before, what waits. A pure state machine, data in and
 * data out, under a clock that is passed in; change-file.ts keeps it across a restart.
 *
 *   plan()     a new list of members: in force at once when the change before it has settled, else queued
 *   force()    the same without waiting; what it may break is for pool/risk.ts to say beforehand. forceBackend() and
 *              forceQueued() bring one thing forward and leave the rest waiting; cancelQueued() takes one back
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
 * What cannot follow, for a slot has two alternates and one prior state is remembered: flows born between two changes within a
 * settle time may be on a backend that neither that state nor the stack names, such as one that was removed. pool/risk.ts
 * tells shares. Nor is anything remembered for longer than a settle time, drains aside (a draining backend stays a candidate
 * of its slots): it should be longer than connections live. And a drain keeps its connections only while two others at most
 * have been before it in the order of candidates. So planned changes wait until those that drain have no connection left
 * (`hold`), but for the one that ends the drain; a health mark cannot wait.
 *
 * Drain, then remove: two planned changes. The removal waits until the drain has settled and is done. It moves slots of other
 * backends too, since layers are a function of the members (9.7 % of all with 3 backends); for a settle time their
 * former owners are the alternates, as for any change. The drained backend is then no longer a candidate for its
 * former slots: connections that are left on it break, so remove it when it has none. A backend removed without a
 * drain keeps its connections for one settle time.
 */
import { isDeepStrictEqual } from 'node:util';
import type { BackendConfig, PriorBackendConfig } from '../config/types.js';
import type { Health } from '../table/state.js';
import { type Brought, bringFields, bringStep, endDrains, merge, withoutStep } from './queue.js';

/** What a config says of a pool. */
export interface PoolChange {
  /** In any order; names are unique. Another address under the same name is another machine. */
  readonly members: readonly BackendConfig[];
  /** `prior:` of the config; takes the place of what is remembered for as long as the config has it. */
  readonly prior?: readonly PriorBackendConfig[] | undefined;
  /** Marks of members that are new to the pool; up when not named. Others keep the marks that they have. */
  readonly health?: Readonly<Record<string, Health>> | undefined;
}

export interface QueuedChange extends PoolChange {
  /** For as long as it waits, and never given to another change of the pool. */
  readonly id: number;
  readonly plannedAtMs: number;
}

/** Members that were in force. */
export interface PastMembers {
  readonly members: readonly BackendConfig[];
  readonly untilMs: number;
}

export interface RememberedMark {
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
  readonly members: readonly BackendConfig[];
  /** What was in force within the last settle time, oldest first. */
  readonly past: readonly PastMembers[];
  /** Of all members named anywhere here, sorted by name. */
  readonly marks: readonly RememberedMark[];
  /** In the order in which they were planned. */
  readonly queue: readonly QueuedChange[];
  /** The last id that was given to a queued change. */
  readonly lastId: number;
  /** Sorted by name. */
  readonly holds: readonly Hold[];
  /** `prior:` of the config that is in force. */
  readonly override: readonly PriorBackendConfig[] | undefined;
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
    { settleMs, nowMs, members, past: [], marks: [], queue: [], lastId: 0, holds: [], override },
    change.health,
  );
}

/**
 * The config was edited. Takes it at once, or queues it while a planned change is settling. What waits already and is meant
 * otherwise now is changed where it waits (queue.ts), so that going back to what is in force leaves nothing to wait for. What ends
 * a drain waits behind nothing that is queued, and comes at once if it may.
 *
 * @throws AnyhopError ERR_LIMIT when the queue is full
 */
export function plan(changes: PoolChanges, change: PoolChange, nowMs: number): PoolChanges {
  const now = advance(changes, nowMs);
  const wanted = sorted(change.members);
  const prior = sortedPrior(change.prior);
  if (isDeepStrictEqual(now.members, wanted))
    return withMarks({ ...now, queue: [], override: prior }, change.health);
  if (now.queue.length === 0 && mayCome(now, wanted)) return apply(now, change);
  const step = { id: now.lastId + 1, members: wanted, prior, health: change.health, plannedAtMs: now.nowMs };
  const merged = withPrior(merge(now.members, now.queue, step), prior);
  const ended = endedDrains(now, wanted, merged.length > 1);
  const queue =
    ended.size === 0 ? merged : endDrains(now.members, merged, ended, { ...step, id: now.lastId + 2 });
  return advance(withMarks({ ...now, queue, lastId: lastIdOf(now, queue) }, change.health), now.nowMs);
}

/** `prior:` of the file belongs to what the file says last. */
function withPrior(queue: readonly QueuedChange[], prior: QueuedChange['prior']): readonly QueuedChange[] {
  const last = queue.at(-1);
  return last === undefined ? queue : [...queue.slice(0, -1), { ...last, prior }];
}

/** Who drains in force and is to be active: those that still have connections, and all when more than their own step waits. */
function endedDrains(
  { members, holds }: PoolChanges,
  wanted: readonly BackendConfig[],
  othersWait: boolean,
): ReadonlySet<string> {
  const active = new Set(wanted.flatMap(({ name, state }) => (state === 'active' ? [name] : [])));
  const held = new Set(holds.map(({ name }) => name));
  return new Set(
    members.flatMap(({ name, state }) =>
      state === 'draining' && active.has(name) && (othersWait || held.has(name)) ? [name] : [],
    ),
  );
}

function lastIdOf({ lastId }: PoolChanges, queue: readonly QueuedChange[]): number {
  return queue.reduce((most, { id }) => Math.max(most, id), lastId);
}

/** Takes a change without waiting. What was queued is dropped: the config that is forced was edited after it. */
export function force(changes: PoolChanges, change: PoolChange, nowMs: number): PoolChanges {
  const now = { ...passTime(changes, nowMs), queue: [] };
  if (!isDeepStrictEqual(now.members, sorted(change.members))) return apply(now, change);
  return withMarks({ ...now, override: sortedPrior(change.prior) }, change.health);
}

/** Some fields of one backend are in force now; what is queued goes on waiting, and has the same in these fields. */
export function forceBackend(
  changes: PoolChanges,
  name: string,
  fields: Partial<Pick<BackendConfig, 'weight' | 'state'>>,
  nowMs: number,
): PoolChanges {
  const now = passTime(changes, nowMs);
  return applyBrought(now, bringFields(now.members, now.queue, name, fields), now.override);
}

/** One queued change is in force now; the others go on waiting. @param at its place in the queue */
export function forceQueued(changes: PoolChanges, at: number, nowMs: number): PoolChanges {
  const now = passTime(changes, nowMs);
  const prior = at === now.queue.length - 1 ? now.queue[at].prior : now.override;
  return applyBrought(now, bringStep(now.members, now.queue, at), prior);
}

function applyBrought(
  now: PoolChanges,
  { inForce, queue }: Brought,
  prior: PoolChanges['override'],
): PoolChanges {
  const next = { ...now, queue };
  return isDeepStrictEqual(inForce, now.members) ? next : apply(next, { members: inForce, prior });
}

/** A queued change is taken back; those after it are as if it had never been planned. @param at its place in the queue */
export function cancelQueued(changes: PoolChanges, at: number, nowMs: number): PoolChanges {
  const queue = withoutStep(changes.members, changes.queue, at);
  return advance(withMarks({ ...changes, queue }), nowMs);
}

/** A health mark, of a member that is in force or waits; marks of others are ignored. Never waits. */
export function mark(changes: PoolChanges, name: string, health: Health, nowMs: number): PoolChanges {
  const now = advance(changes, nowMs);
  return markEach(now, (each) => (each.name === name ? health : undefined), nowMs);
}

/**
 * Many of them at one moment; the same object when all are as they were.
 * @param healthOf undefined for a mark that stays
 */
export function markEach(
  changes: PoolChanges,
  healthOf: (mark: RememberedMark) => Health | undefined,
  nowMs: number,
): PoolChanges {
  const other = (mark: RememberedMark): Health | undefined => {
    const now = healthOf(mark);
    return now === mark.health ? undefined : now;
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
function mayCome(changes: PoolChanges, wanted: readonly BackendConfig[]): boolean {
  const { past, holds, nowMs } = changes;
  const isFree = past.length === 0 || takesDrainBack(changes, wanted);
  return isFree && keepsWaiting(holds, wanted, nowMs).length === 0;
}

/**
 * Whether all that has changed within the settle time is that one backend drains, the only one, and `wanted` takes that back. It breaks
 * nothing: the backend owns its slots again, and whoever owned them meanwhile comes next in their stacks, and so is the alternate.
 */
function takesDrainBack({ past, members }: PoolChanges, wanted: readonly BackendConfig[]): boolean {
  if (past.length !== 1 || !isDeepStrictEqual(past[0].members, wanted)) return false;
  const taken = members.filter((one, i) => !isDeepStrictEqual(one, wanted[i]));
  const back = wanted.filter((one, i) => !isDeepStrictEqual(one, members[i]));
  if (wanted.some(({ state }) => state === 'draining')) return false;
  return (
    taken.length === 1 &&
    taken[0].state === 'draining' &&
    isDeepStrictEqual(back, [{ ...taken[0], state: 'active' }])
  );
}

/** Those that a change would leave draining, or take out. */
export function keepsWaiting(
  holds: readonly Hold[],
  wanted: readonly BackendConfig[],
  nowMs: number,
): Hold[] {
  const active = new Set(wanted.flatMap(({ name, state }) => (state === 'active' ? [name] : [])));
  return holds.filter(({ name, untilMs }) => nowMs < untilMs && !active.has(name));
}

/** Those of members that drain. */
export function inForceHolds(holds: readonly Hold[], members: readonly BackendConfig[]): Hold[] {
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
  const marks = [...names].sort().map((name): RememberedMark => {
    const initial = first.get(name) ?? 'up';
    return known.get(name) ?? { name, health: initial, sinceMs: changes.nowMs, rested: upOrDown(initial) };
  });
  return { ...changes, marks };
}

function rest(one: RememberedMark, settleMs: number, nowMs: number): RememberedMark {
  const now = upOrDown(one.health);
  return one.rested === now || nowMs < one.sinceMs + settleMs ? one : { ...one, rested: now };
}

function remark(one: RememberedMark, health: Health, { nowMs }: PoolChanges): RememberedMark {
  const isSame = upOrDown(one.health) === upOrDown(health);
  return { ...one, health, sinceMs: isSame ? one.sinceMs : nowMs };
}

export function upOrDown(health: Health): 'up' | 'down' {
  return health === 'up' ? 'up' : 'down';
}

/** In one order and with these fields alone, so that lists can be compared and read back. */
function sorted(members: readonly BackendConfig[]): BackendConfig[] {
  return members.map(plain).sort(byName);
}

function sortedPrior(members: readonly PriorBackendConfig[] | undefined): PriorBackendConfig[] | undefined {
  return members?.map((member) => ({ ...plain(member), health: member.health })).sort(byName);
}

function plain({ name, address, weight, state, agent, id }: BackendConfig): BackendConfig {
  return { name, address, weight, state, agent, id };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
