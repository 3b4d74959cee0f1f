/**
 * How one pool changes over time: what is in force, what was before, what waits. A pure state machine, data in and
 * data out, under a clock that is passed in; change-file.ts keeps it across a restart.
 *
 *   plan()     a new list of members: in force at once when fewer than two changes are open (open-changes.ts), else queued
 *   force()    the same without waiting; what it may break is for pool/risk.ts to say beforehand. forceBackend() and
 *              forceQueued() bring one thing forward and leave the rest waiting; cancelQueued() takes one back
 *   markEach() how backends stand, by checks and next hops: in force at once, always
 *   hold()     who drains and still has connections
 *   changeKey() another flow hash key (rekey.ts): a change of its own, while which no other comes
 *   advance()  time passes: what is remembered expires (remembered.ts), and the first of the queue comes into force when it may
 *
 * What follows, for every slot (test/pool/change-laws.test.ts): after any two changes, planned or of health, the holder of every flow,
 * whenever born, is owner or in the GRE key of the slot. A drain that is not done is one of the two, however old it is.
 *
 * What cannot follow: a key has two alternates, so three changes that overlap can break flows. The queue keeps a third planned
 * one back; a health mark cannot wait. pool/plan.ts and pool/risk.ts tell shares. Nor is anything remembered for longer than a settle
 * time, drains aside: it should be longer than connections live.
 *
 * Drain, then remove: two planned changes. The removal waits until the drain is done, or its deadline is over. It moves slots of other
 * backends too, since layers are a function of the members (9.7 % of all with 3 backends); their former owners are then alternates.
 */
import type { BackendConfig, PriorBackendConfig } from '../config/types.js';
import {
  drainingIn,
  type Hold,
  heldBack,
  inForceHolds,
  mayCome,
  opensAtMs,
  type PlannedChange,
  withoutSettled,
  withPlanned,
} from './open-changes.js';
import { type Brought, bringFields, bringStep, endDrains, joinDrains, merge, withoutStep } from './queue.js';
import { type FormerKey, rekey, withoutFormerKey } from './rekey.js';
import { isSameMembers, type RememberedState, remember, withoutExpired } from './remembered.js';
import { type Standing, UP } from './standing.js';

/** What a config says of a pool. */
export interface PoolChange {
  /** In any order; names are unique. Another address under the same name is another machine. */
  readonly members: readonly BackendConfig[];
  /** `prior:` of the config; takes the place of what is remembered for as long as the config has it. */
  readonly prior?: readonly PriorBackendConfig[] | undefined;
}

/** Marks of members that are new to the pool, by name; up when not named. Others keep the marks that they have. */
export type FirstMarks = Readonly<Record<string, Standing>>;

export interface QueuedChange extends PoolChange {
  /** For as long as it waits, and never given to another change of the pool. */
  readonly id: number;
  readonly plannedAtMs: number;
}

export interface RememberedMark extends Standing {
  readonly name: string;
  /** Since when the backend is up, or is not. */
  readonly sinceMs: number;
}

/** All that is known of one pool's changes; plain JSON. Made by `startChanges`, then by the transitions alone. */
export interface PoolChanges {
  readonly settleMs: number;
  /** The latest time seen: time does not run backwards here. */
  readonly nowMs: number;
  /** In force now, sorted by name. */
  readonly members: readonly BackendConfig[];
  /** What was in force before, newest first; other states than the present one. */
  readonly remembered: readonly RememberedState[];
  /**
   * Until when a state was in force that had to make room, or when it made room if that is a settle time later. Undefined when that is a
   * settle time ago.
   */
  readonly droppedUntilMs?: number | undefined;
  /** In the order in which they came. */
  readonly planned: readonly PlannedChange[];
  /** Of members in force and in the queue, sorted by name. */
  readonly marks: readonly RememberedMark[];
  /** In the order in which they were planned. */
  readonly queue: readonly QueuedChange[];
  /** The last id that was given to a queued change. */
  readonly lastId: number;
  /** Sorted by name. */
  readonly holds: readonly Hold[];
  /** Fingerprint of the secret whose key hashes its flows; undefined for one that nobody has told it. */
  readonly keyId?: string | undefined;
  /** While that changes. */
  readonly formerKey?: FormerKey | undefined;
  /** `prior:` of the config that is in force. */
  readonly override: readonly PriorBackendConfig[] | undefined;
}

/**
 * A pool that nothing is remembered of.
 *
 * Times here and below are milliseconds of a clock that goes on across restarts and is not set back within a process:
 * `performance.timeOrigin + performance.now()`.
 *
 * @param settleMs how long a state is remembered, and a planned change is open, above 0
 */
export function startChanges(
  change: PoolChange,
  settleMs: number,
  nowMs: number,
  marks?: FirstMarks,
): PoolChanges {
  const members = sorted(change.members);
  const override = sortedPrior(change.prior);
  const drains = [...drainingIn(members)];
  const planned = drains.length === 0 ? [] : [{ drains }];
  return withMarks(
    {
      settleMs,
      nowMs,
      members,
      remembered: [],
      planned,
      marks: [],
      queue: [],
      lastId: 0,
      holds: [],
      override,
    },
    marks,
  );
}

/**
 * The config was edited. Takes it at once, or queues it while two planned changes are open. What waits already and is meant
 * otherwise now is changed where it waits (queue.ts), so that going back to what is in force leaves nothing to wait for. What ends
 * a drain waits behind nothing that is queued, and comes at once if it may.
 *
 * @throws AnyhopError ERR_LIMIT when the queue is full
 */
export function plan(
  changes: PoolChanges,
  change: PoolChange,
  nowMs: number,
  marks?: FirstMarks,
): PoolChanges {
  return atOnce(changes, nowMs, (before) => planNow(come(before), change, marks));
}

/** As `plan`, when agents ask for drains or no longer do: the drains that wait come together. @param asked names of all that ask */
export function planAsked(
  changes: PoolChanges,
  change: PoolChange,
  asked: ReadonlySet<string>,
  nowMs: number,
): PoolChanges {
  return atOnce(changes, nowMs, (before) => {
    const now = come(before);
    return planNow({ ...now, queue: joinDrains(now.members, now.queue, asked) }, change, undefined);
  });
}

function planNow(now: PoolChanges, change: PoolChange, marks: FirstMarks | undefined): PoolChanges {
  const wanted = sorted(change.members);
  const prior = sortedPrior(change.prior);
  if (isSameMembers(now.members, wanted)) return withMarks({ ...now, queue: [], override: prior }, marks);
  if (now.queue.length === 0 && mayCome(now, wanted)) return apply(now, change, marks);
  const step = { id: now.lastId + 1, members: wanted, prior, plannedAtMs: now.nowMs };
  const merged = withPrior(merge(now.members, now.queue, step), prior);
  const ended = endedDrains(now, wanted);
  const isAlone = ended.size === 0 || (merged.length === 1 && heldBack(now, wanted).length === 0);
  const queue = isAlone ? merged : endDrains(now.members, merged, ended, { ...step, id: now.lastId + 2 });
  return come(withMarks({ ...now, queue, lastId: lastIdOf(now, queue) }, marks));
}

/** `prior:` of the file belongs to what the file says last. */
function withPrior(queue: readonly QueuedChange[], prior: QueuedChange['prior']): readonly QueuedChange[] {
  const last = queue.at(-1);
  return last === undefined ? queue : [...queue.slice(0, -1), { ...last, prior }];
}

/** Who drains in force and is to be active. */
function endedDrains({ members }: PoolChanges, wanted: readonly BackendConfig[]): ReadonlySet<string> {
  const draining = drainingIn(members);
  return new Set(
    wanted.flatMap(({ name, state }) => (state === 'active' && draining.has(name) ? [name] : [])),
  );
}

function lastIdOf({ lastId }: PoolChanges, queue: readonly QueuedChange[]): number {
  return queue.reduce((most, { id }) => Math.max(most, id), lastId);
}

/** Takes a change without waiting. What was queued is dropped: the config that is forced was edited after it. */
export function force(
  changes: PoolChanges,
  change: PoolChange,
  nowMs: number,
  marks?: FirstMarks,
): PoolChanges {
  return atOnce(changes, nowMs, (before) => {
    const now = { ...before, queue: [] };
    if (!isSameMembers(now.members, sorted(change.members))) return apply(now, change, marks);
    return withMarks({ ...now, override: sortedPrior(change.prior) }, marks);
  });
}

/** Some fields of one backend are in force now; what is queued goes on waiting, and has the same in these fields. */
export function forceBackend(
  changes: PoolChanges,
  name: string,
  fields: Partial<Pick<BackendConfig, 'weight' | 'state'>>,
  nowMs: number,
): PoolChanges {
  return atOnce(changes, nowMs, (now) =>
    applyBrought(now, bringFields(now.members, now.queue, name, fields), now.override),
  );
}

/** One queued change is in force now; the others go on waiting. @param at its place in the queue */
export function forceQueued(changes: PoolChanges, at: number, nowMs: number): PoolChanges {
  return atOnce(changes, nowMs, (now) => {
    const prior = at === now.queue.length - 1 ? now.queue[at].prior : now.override;
    return applyBrought(now, bringStep(now.members, now.queue, at), prior);
  });
}

function applyBrought(
  now: PoolChanges,
  { inForce, queue }: Brought,
  prior: PoolChanges['override'],
): PoolChanges {
  const next = { ...now, queue };
  return isSameMembers(inForce, now.members) ? next : apply(next, { members: inForce, prior });
}

/** A queued change is taken back; those after it are as if it had never been planned. @param at its place in the queue */
export function cancelQueued(changes: PoolChanges, at: number, nowMs: number): PoolChanges {
  const queue = withoutStep(changes.members, changes.queue, at);
  return advance(withMarks({ ...changes, queue }), nowMs);
}

/**
 * How members stand that are in force or wait. Never waits; the same object when all stand as they did.
 * @param standingOf undefined for a mark that stays
 */
export function markEach(
  changes: PoolChanges,
  standingOf: (mark: RememberedMark) => Standing | undefined,
  nowMs: number,
): PoolChanges {
  const isOther = (mark: RememberedMark, to = standingOf(mark)): boolean =>
    to !== undefined && (to.health !== mark.health || to.unreachable !== mark.unreachable);
  if (!changes.marks.some((mark) => isOther(mark))) return changes;
  return atOnce(changes, nowMs, (before) => {
    const now = come(before);
    const marks = now.marks.map((mark) => {
      const to = standingOf(mark);
      return to !== undefined && isOther(mark, to) ? remark(mark, to, now) : mark;
    });
    return { ...now, marks };
  });
}

function remark(
  { name, health, sinceMs }: RememberedMark,
  to: Standing,
  { nowMs }: PoolChanges,
): RememberedMark {
  const isSame = (health === 'up') === (to.health === 'up');
  return { name, ...to, sinceMs: isSame ? sinceMs : nowMs };
}

/** Who drains and still has connections, by now; who is not in force, or does not drain, does not count. */
export function hold(changes: PoolChanges, holds: readonly Hold[], nowMs: number): PoolChanges {
  const next = inForceHolds(holds, changes.members).sort(byName);
  return isSameHolds(next, changes.holds) ? changes : advance(settled({ ...changes, holds: next }), nowMs);
}

function isSameHolds(some: readonly Hold[], others: readonly Hold[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ name, untilMs }, i) => name === others[i].name && untilMs === others[i].untilMs)
  );
}

/** Time passes. What is due in the queue comes into force, as far as it may. */
export function advance(changes: PoolChanges, nowMs: number): PoolChanges {
  return atOnce(changes, nowMs, come);
}

/** One transition. No connection is from a state that was in force within it, so it is not remembered. */
function atOnce(
  changes: PoolChanges,
  nowMs: number,
  transition: (now: PoolChanges) => PoolChanges,
): PoolChanges {
  const before = passTime(changes, nowMs);
  const after = transition(before);
  return after === before ? before : settled(remember(before, after));
}

/** What is due in the queue. */
function come(changes: PoolChanges): PoolChanges {
  let now = changes;
  for (;;) {
    const [first, ...rest] = now.queue;
    if (first === undefined || !mayCome(now, first.members)) return now;
    now = apply({ ...now, queue: rest }, first);
  }
}

/** Flows are hashed with the key of another secret, whatever else is open. @param id its fingerprint */
export function changeKey(changes: PoolChanges, id: string, nowMs: number): PoolChanges {
  return atOnce(changes, nowMs, (now) => rekey(now, id));
}

/** Whether `advance` has something to do by now. */
export function isDue(changes: PoolChanges, nowMs: number): boolean {
  const next = nextAtMs(changes);
  return next !== undefined && nowMs >= next;
}

/** When `advance` has something to do next; undefined when nothing waits, is open or is remembered. */
export function nextAtMs(changes: PoolChanges): number | undefined {
  const { queue, remembered, droppedUntilMs, settleMs, nowMs } = changes;
  if (queue.length > 0 && mayCome(changes, queue[0].members)) return nowMs;
  const ends = [...remembered.map(({ untilMs }) => untilMs), droppedUntilMs ?? 0].map((at) => at + settleMs);
  const times = [...ends.filter((at) => at > nowMs), ...opensAtMs(changes)];
  return times.length === 0 ? undefined : Math.min(...times);
}

function passTime(changes: PoolChanges, nowMs: number): PoolChanges {
  return nowMs <= changes.nowMs ? changes : settled({ ...changes, nowMs });
}

/** Without what is over by now. */
export function settled(changes: PoolChanges): PoolChanges {
  return withoutFormerKey({ ...withoutExpired(changes), planned: withoutSettled(changes) });
}

function apply(changes: PoolChanges, change: PoolChange, marks?: FirstMarks): PoolChanges {
  const members = sharing(sorted(change.members), changes.members);
  const planned = withPlanned(changes.planned, changes.members, members, changes.nowMs);
  const holds = [...inForceHolds(changes.holds, members), ...assumedHolds(changes, members)].sort(byName);
  return withMarks({ ...changes, members, planned, holds, override: sortedPrior(change.prior) }, marks);
}

/** `members`, with the same objects for those that stay as they are: a pool remembers many lists of thousands. */
function sharing(members: readonly BackendConfig[], before: readonly BackendConfig[]): BackendConfig[] {
  const known = new Map(before.map((one) => [one.name, one]));
  return members.map((one) => {
    const same = known.get(one.name);
    return same !== undefined && isSameMembers([same], [one]) ? same : one;
  });
}

/** Who begins to drain has connections until its agent is asked: a removal that comes at the same moment must not find it free. */
function assumedHolds({ members, nowMs, settleMs }: PoolChanges, next: readonly BackendConfig[]): Hold[] {
  const drained = drainingIn(members);
  return next.flatMap(({ name, state, agent }) =>
    state === 'draining' && agent && !drained.has(name) ? [{ name, untilMs: nowMs + settleMs }] : [],
  );
}

/** Marks for exactly the members that are in force or wait; those without one are as `first` says. */
function withMarks(changes: PoolChanges, first: FirstMarks = {}): PoolChanges {
  const names = new Set(
    [changes, ...changes.queue].flatMap(({ members }) => members.map(({ name }) => name)),
  );
  const known = new Map(changes.marks.map((one) => [one.name, one]));
  const given = new Map(Object.entries(first));
  const marks = [...names].sort().map((name): RememberedMark => {
    return known.get(name) ?? { name, ...(given.get(name) ?? UP), sinceMs: changes.nowMs };
  });
  return { ...changes, marks };
}

/** In one order and with these fields alone, so that lists can be compared and read back. */
export function sorted(members: readonly BackendConfig[]): BackendConfig[] {
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
