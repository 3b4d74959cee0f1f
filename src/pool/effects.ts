/** What a transition of the pools did, pool by pool: for reports, for the log, and for a plan before it is made. */
import { isDeepStrictEqual } from 'node:util';
import type { BackendConfig } from '../config/types.js';
import { isByAgent } from './agent-drain.js';
import type { PoolChanges, QueuedChange } from './change.js';
import { describeMembers } from './describe-change.js';
import { dueAtMs } from './due.js';
import type { Membership, PoolMembership } from './membership.js';
import { settlesAtMs, waitsFor } from './open-changes.js';
import { FIELDS, isSame } from './queue.js';

/** A planned change that waits. */
export interface QueuedStep {
  /** `web:3`, as long as it waits; never given to another. */
  readonly id: string;
  readonly plannedAtMs: number;
  /** In words, against what comes before it. */
  readonly changes: readonly string[];
  /** When it comes into force at the latest. */
  readonly dueAtMs: number;
  /** For whose connections the first in the queue waits; empty for others. */
  readonly waitsFor: readonly string[];
}

/** What became of one pool. */
export interface Effect {
  readonly pool: string;
  readonly effect: 'in_force' | 'queued' | 'unchanged' | 'added' | 'removed';
  /** In words; of one that is queued against what comes before it. */
  readonly changes: readonly string[];
  /** Of one that is queued: the last of the steps that are new, or are others than before. */
  readonly step?: QueuedStep;
  /** What waited before and is in force now. */
  readonly came: readonly QueuedStep[];
  /** What waited before and does not come any more. */
  readonly takenBack: readonly QueuedStep[];
  /** When one that is in force has settled. */
  readonly settlesAtMs?: number;
}

/** `web:3`; names of pools have no colon. */
export function stepId(pool: string, { id }: Pick<QueuedChange, 'id'>): string {
  return `${pool}:${id}`;
}

/** All that wait, the next one first. */
export function queuedSteps(pool: PoolMembership): QueuedStep[] {
  const { file, changes } = pool;
  const due = dueAtMs(changes, file.drainDeadlineMs);
  const lists = [changes, ...changes.queue].map(({ members }) => members);
  return changes.queue.map((step, i) => ({
    id: stepId(file.name, step),
    plannedAtMs: step.plannedAtMs,
    changes: describeMembers(lists[i], lists[i + 1], (name, state) => isByAgent(pool, pool, name, state)),
    dueAtMs: due[i],
    waitsFor: i === 0 ? waitsFor(changes) : [],
  }));
}

export function effects(before: Membership, after: Membership): Effect[] {
  const formers = [...after].map(([name, is]) => formerOf(before, name, is));
  const gone = [...before].flatMap(([name, was]) => (after.has(name) || formers.includes(was) ? [] : [name]));
  return [...gone, ...after.keys()].map((name): Effect => {
    const is = after.get(name);
    const was = is && formerOf(before, name, is);
    const nothing = { pool: name, changes: [], came: [], takenBack: [] };
    if (is === undefined) return { ...nothing, effect: 'removed' };
    if (was === undefined) return { ...nothing, effect: 'added' };
    return effectOf(name, was, is);
  });
}

/** The same pool as it was before, under whatever name; undefined for one that is new. */
export function formerOf(before: Membership, name: string, is: PoolMembership): PoolMembership | undefined {
  return before.get(name) ?? before.get(is.formerly ?? '');
}

function effectOf(pool: string, was: PoolMembership, is: PoolMembership): Effect {
  const isRenamed = was.file.name !== is.file.name;
  const nothing: Effect = {
    pool,
    effect: isRenamed ? 'in_force' : 'unchanged',
    changes: isRenamed ? [`renamed from ${was.file.name}`] : [],
    came: [],
    takenBack: [],
  };
  const keys = keyChange(was.changes, is.changes);
  if (
    keys.length === 0 &&
    is.changes.members === was.changes.members &&
    is.changes.queue === was.changes.queue
  )
    return nothing;
  const settling = settlesAtMs(is.changes);
  const kept = new Set(is.changes.queue.map(({ id }) => id));
  const [came, takenBack] = [true, false].map((isIn) =>
    was.changes.queue.flatMap((step, i) =>
      kept.has(step.id) || isInForce(was.changes, i, is.changes) !== isIn ? [] : [queuedSteps(was)[i]],
    ),
  );
  const rest = { ...nothing, came, takenBack, ...(settling !== undefined && { settlesAtMs: settling }) };
  const inForce = describeMembers(was.changes.members, is.changes.members, (name, state) =>
    isByAgent(was, is, name, state),
  );
  if (inForce.length + keys.length > 0)
    return { ...rest, effect: 'in_force', changes: [...nothing.changes, ...keys, ...inForce] };
  const [before, steps] = [queuedSteps(was), queuedSteps(is)];
  const last = is.changes.queue.findLastIndex(({ id }, i) => {
    const at = was.changes.queue.findIndex((one) => one.id === id);
    return at < 0 || !isDeepStrictEqual(before[at].changes, steps[i].changes);
  });
  if (last < 0) return rest;
  const step = steps[last];
  return { ...rest, effect: 'queued', changes: [...nothing.changes, ...step.changes], step };
}

/** In words: that flows are hashed with the key of another secret. */
function keyChange({ keyId: was }: PoolChanges, { keyId: is }: PoolChanges): string[] {
  return was === undefined || was === is ? [] : [`flow hash key ${was} -> ${is}`];
}

/** Whether what a step that waited would have changed is so. */
function isInForce(before: PoolChanges, at: number, after: PoolChanges): boolean {
  const from = at === 0 ? before.members : before.queue[at - 1].members;
  const by = (list: readonly BackendConfig[]) => new Map(list.map((one) => [one.name, one]));
  const [was, wanted, is] = [by(from), by(before.queue[at].members), by(after.members)];
  return [...new Set([...was.keys(), ...wanted.keys()])].every((name) => {
    const [old, next, now] = [was.get(name), wanted.get(name), is.get(name)];
    if (next === undefined) return old === undefined || now === undefined;
    return FIELDS.every(
      (field) =>
        (old !== undefined && isSame(old, next, field)) || (now !== undefined && isSame(now, next, field)),
    );
  });
}
