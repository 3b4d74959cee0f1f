/**
 * What a node remembers of its pools as text, so that remembered states, queues, marks and what was said at runtime survive a restart.
 * Each member of a pool is written once, and each list of members: states and steps of the queue have numbers of these. What is
 * read back was written by this program or by a stranger: shape, ranges and the relations between fields are checked, and a file
 * that fails any of it is refused as a whole, for half a memory would name wrong alternates. Files of former versions are read by
 * former-change-file.ts.
 */
import * as z from 'zod';
import { FINGERPRINT_PATTERN } from '../config/key-fingerprint.js';
import type { BackendConfig } from '../config/types.js';
import type { Clocks } from '../core/clock.js';
import { AnyhopError } from '../core/errors.js';
import {
  BACKENDS_PER_POOL_MAX,
  CHANGES_QUEUED_MAX,
  POOLS_MAX,
  STATES_REMEMBERED_MAX,
  WEIGHT_MAX,
} from '../core/limits.js';
import type { PoolChanges } from './change.js';
import { FORMER_VERSIONS, formerChanges } from './former-change-file.js';
import {
  agentDrain,
  health,
  holds,
  id,
  isSorted,
  member,
  name,
  prior,
  queue,
  TIME_MS_MAX,
  time,
} from './kept-parts.js';
import type { PoolMemory } from './membership.js';
import type { RememberedState } from './remembered.js';

/** Rises when a file of the present program could not be read by an older one. */
const FILE_VERSION = 7;
/** The same without keys; and without what agents ask for. */
const [VERSION_WITHOUT_KEYS, VERSION_WITHOUT_AGENTS] = [6, 5];

/** In force, remembered under each of two keys, and waiting. */
const LISTS_MAX = 1 + (1 + 2 * STATES_REMEMBERED_MAX) + CHANGES_QUEUED_MAX;
const number = z.int().min(0);
const names = z.array(name).max(BACKENDS_PER_POOL_MAX).refine(isSorted, 'not sorted, or one named twice');

const state = z.strictObject({ list: number, down: names, unreachable: names, untilMs: time });
const keyId = z.string().regex(FINGERPRINT_PATTERN);

const keptChanges = z.strictObject({
  settleMs: time.gt(0),
  nowMs: time,
  members: z.array(member).max(LISTS_MAX * BACKENDS_PER_POOL_MAX),
  /** Numbers of members; the first list is in force. */
  lists: z.array(z.array(number).max(BACKENDS_PER_POOL_MAX)).min(1).max(LISTS_MAX),
  remembered: z.array(state).max(STATES_REMEMBERED_MAX),
  keyId: keyId.optional(),
  formerKey: z
    .strictObject({
      id: keyId,
      untilMs: time,
      states: z
        .array(state)
        .min(1)
        .max(1 + STATES_REMEMBERED_MAX),
    })
    .optional(),
  droppedUntilMs: time.optional(),
  planned: z.array(z.strictObject({ atMs: time.optional(), drains: names })),
  marks: z.array(z.strictObject({ name, health, unreachable: z.literal(true).optional(), sinceMs: time })),
  queue: queue(z.strictObject({ id, list: number, prior: prior.optional(), plannedAtMs: time })),
  lastId: id.or(z.literal(0)),
  holds,
  override: prior.optional(),
});

const presentChanges = keptChanges.transform((kept, context): PoolChanges => {
  const lists = kept.lists.map((list) => list.map((i): BackendConfig | undefined => kept.members[i]));
  const isWhole = (list: (typeof lists)[number] | undefined): list is BackendConfig[] =>
    list?.every((one) => one !== undefined) === true && isSorted(list.map((one) => one.name));
  const { states = [] } = kept.formerKey ?? {};
  const used = [0, ...[...kept.remembered, ...kept.queue, ...states].map(({ list }) => list)].map(
    (i) => lists[i],
  );
  if (!used.every(isWhole)) {
    context.addIssue('a list of members that is missing, not sorted, or names a member that is not there');
    return z.NEVER;
  }
  const { members: _, lists: __, formerKey: ___, ...rest } = kept;
  const listed = <T extends { readonly list: number }>({ list, ...one }: T) => ({
    ...one,
    members: lists[list] as BackendConfig[],
  });
  return {
    ...rest,
    members: used[0],
    remembered: kept.remembered.map(listed),
    ...(kept.formerKey && { formerKey: { ...kept.formerKey, states: states.map(listed) } }),
    queue: kept.queue.map(listed),
    override: kept.override,
  };
});

/** The relations between fields. */
function related<T extends z.ZodType<PoolChanges>>(changes: T) {
  return changes
    .refine(({ remembered, formerKey, planned, queue: steps, marks, nowMs, droppedUntilMs = 0 }) => {
      const times = [
        ...[...remembered, ...(formerKey?.states ?? [])].map(({ untilMs }) => untilMs),
        formerKey?.untilMs ?? 0,
        ...planned.map(({ atMs = 0 }) => atMs),
        ...steps.map(({ plannedAtMs }) => plannedAtMs),
        ...marks.map(({ sinceMs }) => sinceMs),
        droppedUntilMs,
      ];
      return times.every((at) => at <= nowMs);
    }, 'a time after the last one seen')
    .refine(
      ({ remembered, formerKey }) =>
        [remembered, formerKey?.states ?? []].every((list) =>
          list.every(({ untilMs }, i) => i === 0 || list[i - 1].untilMs >= untilMs),
        ),
      'remembered states out of order',
    )
    .refine(
      ({ remembered, formerKey }) =>
        [...remembered, ...(formerKey?.states ?? [])].every(({ members, down, unreachable }) => {
          const known = new Set(members.map((one) => one.name));
          const were = new Set(down);
          return down.every((one) => known.has(one)) && unreachable.every((one) => were.has(one));
        }),
      'remembered marks of no member',
    )
    .refine(
      ({ queue: steps, lastId }) =>
        steps.every((one) => one.id <= lastId) && new Set(steps.map((one) => one.id)).size === steps.length,
      'ids of queued changes that are given twice, or not yet',
    )
    .refine(
      ({ marks }) => marks.every((one) => one.unreachable !== true || one.health !== 'up'),
      'a member that is up and cannot be reached',
    )
    .refine((pool) => {
      const all = [pool, ...pool.queue].flatMap((list) => list.members.map((one) => one.name));
      const expected = [...new Set(all)].sort();
      return expected.length === pool.marks.length && expected.every((one, i) => one === pool.marks[i].name);
    }, 'marks that are not those of the members');
}

const override = z
  .strictObject({
    backend: name,
    state: z.enum(['active', 'draining']).optional(),
    weight: z.int().min(0).max(WEIGHT_MAX).optional(),
    sinceMs: time,
  })
  .refine(({ state, weight }) => state !== undefined || weight !== undefined, 'overrides nothing');

const clocks = z.strictObject({ nowMs: time, wallMs: time });

function file<V extends z.ZodType, C extends z.ZodType<PoolChanges>>(version: V, changes: C) {
  const poolMemory = z.strictObject({
    changes: related(changes),
    overrides: z.array(override).max(BACKENDS_PER_POOL_MAX),
    agentDrains: z
      .array(agentDrain)
      .max(BACKENDS_PER_POOL_MAX)
      .refine((list) => isSorted(list.map(({ address }) => address)), 'not sorted, or an address twice')
      .default([]),
    drainingSinceMs: z.record(name, time),
  });
  const pools = z
    .record(name, poolMemory)
    .refine((all) => Object.keys(all).length <= POOLS_MAX, 'too many pools');
  return z.strictObject({ version, clocks, pools });
}

const presentFile = file(
  z.literal([FILE_VERSION, VERSION_WITHOUT_KEYS, VERSION_WITHOUT_AGENTS]),
  presentChanges,
);
const formerFile = file(z.literal(FORMER_VERSIONS), formerChanges);
const versioned = z.object({ version: z.number() });

/** The text to keep, by name of pool; ends with a newline. @param now when that is */
export function writeMemory(memory: ReadonlyMap<string, PoolMemory>, now: Clocks): string {
  const kept = [...memory].map(([pool, { changes, overrides, agentDrains, drainingSinceMs }]) => [
    pool,
    { changes: keptOf(changes), overrides, agentDrains, drainingSinceMs },
  ]);
  const { nowMs, wallMs } = now;
  const contents = { version: FILE_VERSION, clocks: { nowMs, wallMs }, pools: Object.fromEntries(kept) };
  return `${JSON.stringify(contents)}\n`;
}

/** As `presentChanges` reads it. */
function keptOf(changes: PoolChanges): object {
  const members = new Numbered<BackendConfig>(textOf);
  const lists = new Numbered((list: PoolChanges['members']) => list.map((one) => members.of(one)));
  const { members: inForce, formerKey, ...rest } = changes;
  lists.of(inForce);
  const stateOf = ({ members: list, ...one }: RememberedState) => ({ ...one, list: lists.of(list) });
  return {
    ...rest,
    remembered: changes.remembered.map(stateOf),
    formerKey: formerKey && { ...formerKey, states: formerKey.states.map(stateOf) },
    queue: changes.queue.map(({ members: list, prior: before, ...one }) => ({
      ...one,
      list: lists.of(list),
      prior: before?.map(textOf),
    })),
    override: changes.override?.map(textOf),
    members: members.all,
    lists: lists.all,
  };
}

function textOf<M extends BackendConfig>(one: M) {
  return { ...one, address: one.address.text };
}

/** Things that are written once, however often they come; equal ones have one number. */
class Numbered<T extends object> {
  readonly all: unknown[] = [];
  readonly #write: (one: T) => unknown;
  readonly #numbers = new Map<T | string, number>();

  constructor(write: (one: T) => unknown) {
    this.#write = write;
  }

  of(one: T): number {
    const known = this.#numbers.get(one);
    if (known !== undefined) return known;
    const written = this.#write(one);
    const text = JSON.stringify(written);
    const number = this.#numbers.get(text) ?? this.all.push(written) - 1;
    this.#numbers.set(one, number).set(text, number);
    return number;
  }
}

/**
 * What `writeMemory` wrote, by name of pool, with its times moved to the clock of this process. Call `advance` next: as much
 * time has passed as no process ran, by the wall clock, and none where that was set back meanwhile.
 *
 * @throws AnyhopError ERR_STATE_FILE, with the first field that is wrong
 */
export function readMemory(text: string, now: Clocks): Map<string, PoolMemory> {
  const contents = parseJson(text);
  const { version } = versioned.safeParse(contents).data ?? {};
  const isFormer = FORMER_VERSIONS.some((former) => former === version);
  const parsed = (isFormer ? formerFile : presentFile).safeParse(contents);
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    throw unreadable(`${path.length === 0 ? 'the file' : path.join('.')}: ${message}`);
  }
  return new Map(
    Object.entries(parsed.data.pools).map(([pool, { changes, overrides, agentDrains, drainingSinceMs }]) => {
      const byMs = movedByMs(parsed.data.clocks, changes.nowMs, now);
      // None of these can be later than the last time seen.
      const since = (ms: number): number => movedTime(Math.min(ms, changes.nowMs), byMs);
      const memory: PoolMemory = {
        changes: moved(changes, byMs),
        overrides: overrides.map((each) => ({ ...each, sinceMs: since(each.sinceMs) })),
        agentDrains,
        drainingSinceMs: Object.fromEntries(
          Object.entries(drainingSinceMs).map(([name, ms]) => [name, since(ms)]),
        ),
      };
      return [pool, memory];
    }),
  );
}

/**
 * From the clock of the process that wrote to that of the one that reads. What the file calls `saved.nowMs` was as long ago as
 * the wall clock has gone on since: the two show together what it was set by while the process ran, and that is not time passed.
 *
 * @param lastMs the last time that the pool has seen
 */
function movedByMs(saved: Clocks, lastMs: number, now: Clocks): number {
  const awayMs = Math.max(0, now.wallMs - saved.wallMs);
  return now.nowMs - awayMs - Math.max(saved.nowMs, lastMs);
}

/**
 * Not before 1970, where a machine without a battery for its clock begins anew, for what this program writes it must be able to
 * read. A longer wait than need be is the safe side.
 */
function movedTime(ms: number, byMs: number): number {
  return Math.min(Math.max(0, ms + byMs), TIME_MS_MAX);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(error instanceof Error ? error.message : String(error));
  }
}

function unreadable(what: string): AnyhopError {
  return new AnyhopError('ERR_STATE_FILE', `the remembered changes of the pools cannot be used: ${what}`, {
    hint: 'Remove the file; the node then remembers nothing from before of its pools.',
  });
}

function moved(changes: PoolChanges, byMs: number): PoolChanges {
  if (byMs === 0) return changes;
  const at = (ms: number): number => movedTime(ms, byMs);
  const stateAt = (one: RememberedState): RememberedState => ({ ...one, untilMs: at(one.untilMs) });
  return {
    ...changes,
    nowMs: at(changes.nowMs),
    remembered: changes.remembered.map(stateAt),
    ...(changes.formerKey && {
      formerKey: {
        ...changes.formerKey,
        untilMs: at(changes.formerKey.untilMs),
        states: changes.formerKey.states.map(stateAt),
      },
    }),
    droppedUntilMs: changes.droppedUntilMs === undefined ? undefined : at(changes.droppedUntilMs),
    planned: changes.planned.map((one) => ({
      ...one,
      atMs: one.atMs === undefined ? undefined : at(one.atMs),
    })),
    marks: changes.marks.map((one) => ({ ...one, sinceMs: at(one.sinceMs) })),
    queue: changes.queue.map((one) => ({ ...one, plannedAtMs: at(one.plannedAtMs) })),
    holds: changes.holds.map((one) => ({ ...one, untilMs: at(one.untilMs) })),
  };
}
