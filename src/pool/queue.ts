/**
 * The planned changes of a pool that wait, as a list of steps: each has the members that are in force once it is. What one step
 * changes is what differs from the step before it, so a step can be merged, taken out or brought forward by setting the same
 * fields in the steps around it.
 *
 *   in force --step 1--> members --step 2--> members ... --> what was asked for last
 *
 * No field of a backend is changed by two steps: whoever asks for another weight, or ends a drain that waits, changes the step that
 * waits (`merge`). Steps keep their ids; those that change nothing any more are gone.
 */
import type { BackendConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { CHANGES_QUEUED_MAX } from '../core/limits.js';
import type { QueuedChange } from './change.js';

type Members = readonly BackendConfig[];
/** A list of members before the first step, and after each. */
type States = readonly Members[];
type Fields = Partial<BackendConfig>;

/** What one backend is to be instead: fields of a member, a whole one that comes, or undefined for one that goes. */
interface Edit {
  readonly name: string;
  readonly fields?: Fields;
  readonly whole?: BackendConfig | undefined;
}

export const FIELDS = ['address', 'weight', 'state', 'agent', 'id'] as const;
type Field = (typeof FIELDS)[number];

/**
 * The queue after `wanted` was asked for: steps that it changes its mind about are changed, and what is new comes last.
 * @param next the step for what is new; its members are `wanted`
 */
export function merge(
  inForce: Members,
  queue: readonly QueuedChange[],
  next: QueuedChange,
): readonly QueuedChange[] {
  let states = statesOf(inForce, queue);
  const wanted = new Map(next.members.map((member) => [member.name, member]));
  for (const { name } of [...next.members, ...states.at(-1)!]) {
    const member = wanted.get(name);
    states = withPresence(states, name, member !== undefined);
    const last = find(states.at(-1)!, name);
    if (last === undefined || member === undefined) continue;
    for (const field of FIELDS) {
      if (isSame(last, member, field)) continue;
      const at = states.findIndex((_, i) => i > 0 && changes(states, i, name, field));
      if (at > 0) states = edited(states, at, { name, fields: { [field]: member[field] } });
    }
  }
  return withMembers(inForce, [...queue, next], [...states.slice(1), next.members]);
}

/** Takes back the step that took the backend in or out, when the opposite is wanted. */
function withPresence(states: States, name: string, isWanted: boolean): States {
  if ((find(states.at(-1)!, name) !== undefined) === isWanted) return states;
  const at = states.findLastIndex(
    (members, i) =>
      i > 0 && (find(members, name) !== undefined) !== (find(states[i - 1], name) !== undefined),
  );
  return at < 0 ? states : edited(states, at, { name, whole: find(states[at - 1], name) });
}

/**
 * The queue when some of the backends that drain in force are to be active: that comes first, and holds for all that waits. Where the
 * first step already ends drains and does nothing else, these join it, and it keeps its id.
 */
export function endDrains(
  inForce: Members,
  queue: readonly QueuedChange[],
  names: ReadonlySet<string>,
  first: Omit<QueuedChange, 'members'>,
): readonly QueuedChange[] {
  const active = (members: Members): Members =>
    members.map((member) => (names.has(member.name) ? { ...member, state: 'active' } : member));
  const lists = queue.map(({ members }) => active(members));
  if (queue.length > 0 && editsBetween(inForce, queue[0].members).every(endsDrain))
    return withMembers(inForce, queue, lists);
  const steps = [{ ...first, members: active(inForce) }, ...queue];
  return withMembers(inForce, steps, [active(inForce), ...lists]);
}

/**
 * The queue when backends are to drain because their agents ask for it: these join the last step that does nothing else, so that a whole
 * fleet of hosts that ask takes one place in the queue.
 * @param asked names of all whose agents ask
 */
export function joinDrains(
  inForce: Members,
  queue: readonly QueuedChange[],
  asked: ReadonlySet<string>,
): readonly QueuedChange[] {
  const states = statesOf(inForce, queue);
  const at = queue.findLastIndex((_, i) => areDrainsOf(editsBetween(states[i], states[i + 1]), asked));
  if (at < 0) return queue;
  const joined = [...asked].reduce<States>(
    (all, name) => edited(all, at + 1, { name, fields: { state: 'draining' } }),
    states,
  );
  return withMembers(inForce, queue, joined.slice(1));
}

function areDrainsOf(edits: readonly Edit[], names: ReadonlySet<string>): boolean {
  return edits.every(
    ({ name, fields = {} }) =>
      names.has(name) && fields.state === 'draining' && Object.keys(fields).length === 1,
  );
}

function endsDrain({ fields = {} }: Edit): boolean {
  return fields.state === 'active' && Object.keys(fields).length === 1;
}

export interface Brought {
  readonly inForce: Members;
  readonly queue: readonly QueuedChange[];
}

/** Fields of one backend are in force now; what waits goes on waiting, and has the same in these fields. */
export function bringFields(
  inForce: Members,
  queue: readonly QueuedChange[],
  name: string,
  fields: Fields,
): Brought {
  const [now, ...later] = edited(statesOf(inForce, queue), 0, { name, fields });
  return { inForce: now, queue: withMembers(now, queue, later) };
}

/** One step is in force now, the others wait as they did. */
export function bringStep(inForce: Members, queue: readonly QueuedChange[], at: number): Brought {
  const states = statesOf(inForce, queue);
  const edits = editsBetween(states[at], states[at + 1]);
  const earlier = edits.reduce<States>((all, edit) => edited(all, 0, edit), states.slice(0, at + 1));
  const [now, ...later] = [...earlier, ...states.slice(at + 2)];
  const others = queue.filter((_, i) => i !== at);
  return { inForce: now, queue: withMembers(now, others, later) };
}

/** Without one step; those after it are as if it had never been asked for. */
export function withoutStep(
  inForce: Members,
  queue: readonly QueuedChange[],
  at: number,
): readonly QueuedChange[] {
  const states = statesOf(inForce, queue);
  const back = editsBetween(states[at + 1], states[at]);
  const later = back.reduce<States>((all, edit) => edited(all, 0, edit), states.slice(at + 1));
  return withMembers(inForce, queue, [...states.slice(1, at + 1), ...later]);
}

/** What a step does to the states of members; undefined when it changes anything else too. */
export function changedStates(
  inForce: Members,
  queue: readonly QueuedChange[],
  at: number,
): { readonly name: string; readonly state: BackendConfig['state'] }[] | undefined {
  const states = statesOf(inForce, queue);
  const edits = editsBetween(states[at], states[at + 1]);
  const isState = edits.every(({ fields = {} }) => Object.keys(fields).join() === 'state');
  return isState ? edits.map(({ name, fields }) => ({ name, state: fields!.state! })) : undefined;
}

function statesOf(inForce: Members, queue: readonly QueuedChange[]): States {
  return [inForce, ...queue.map(({ members }) => members)];
}

/** Sets the same in a list and all that follow it; a backend that such a list does not have, or no longer, stays out of it. */
function edited(states: States, from: number, { name, fields, whole }: Edit): States {
  return states.map((members, i) => {
    if (i < from) return members;
    if (fields !== undefined)
      return members.map((member) => (member.name === name ? { ...member, ...fields } : member));
    const others = members.filter((member) => member.name !== name);
    return whole === undefined ? others : sorted([...others, whole]);
  });
}

function editsBetween(before: Members, after: Members): Edit[] {
  const names = new Set([...before, ...after].map(({ name }) => name));
  return [...names].flatMap((name): Edit[] => {
    const [was, is] = [find(before, name), find(after, name)];
    if (was === undefined || is === undefined) return was === is ? [] : [{ name, whole: is }];
    const fields = Object.fromEntries(
      FIELDS.flatMap((field) => (isSame(was, is, field) ? [] : [[field, is[field]]])),
    );
    return Object.keys(fields).length === 0 ? [] : [{ name, fields }];
  });
}

/** Whether one backend has the same in one field. */
export function isSame(was: BackendConfig, is: BackendConfig, field: Field): boolean {
  return field === 'address' ? was.address.text === is.address.text : was[field] === is[field];
}

function changes(states: States, at: number, name: string, field: Field): boolean {
  const [was, is] = [find(states[at - 1], name), find(states[at], name)];
  return is !== undefined && (was === undefined || !isSame(was, is, field));
}

/**
 * @param steps as many as there are lists of members
 * @throws AnyhopError ERR_LIMIT when too many change something
 */
function withMembers(
  inForce: Members,
  steps: readonly QueuedChange[],
  lists: States,
): readonly QueuedChange[] {
  const queue = steps
    .map((step, i) => ({ ...step, members: lists[i] }))
    .filter(({ members }, i) => editsBetween(i === 0 ? inForce : lists[i - 1], members).length > 0);
  if (queue.length <= CHANGES_QUEUED_MAX) return queue;
  throw new AnyhopError('ERR_LIMIT', `${CHANGES_QUEUED_MAX} changes are waiting for this pool already`, {
    hint: 'Wait until the first of them is in force, cancel one (`anyhop changes`), or force the change.',
  });
}

const indexes = new WeakMap<Members, ReadonlyMap<string, BackendConfig>>();

/** By an index that is made once a list: a pool has thousands of backends. */
function find(members: Members, name: string): BackendConfig | undefined {
  let index = indexes.get(members);
  if (index === undefined) {
    index = new Map(members.map((member) => [member.name, member]));
    indexes.set(members, index);
  }
  return index.get(name);
}

function sorted(members: Members): Members {
  return [...members].sort((a, b) => (a.name < b.name ? -1 : 1));
}
