/**
 * What a node remembers of its pools as text, so that prior states, queues, marks and what was said at runtime survive a restart. What is read back
 * was written by this program or by a stranger: shape, ranges and the relations between fields are checked, and a file
 * that fails any of it is refused as a whole, for half a memory would name wrong alternates.
 */
import { z } from 'zod';
import { NAME_PATTERN } from '../config/schema.js';
import type { Clocks } from '../core/clock.js';
import { AnyhopError } from '../core/errors.js';
import {
  BACKEND_ID_MAX,
  BACKENDS_PER_POOL_MAX,
  CHANGES_QUEUED_MAX,
  POOLS_MAX,
  WEIGHT_MAX,
} from '../core/limits.js';
import { type IpAddress, parseAddress } from '../packet/address.js';
import { defaultId } from '../packet/second-chance-key.js';
import type { PoolChanges } from './change.js';
import type { PoolMemory } from './membership.js';

/** Rises when a file of the present program could not be read by an older one. */
const FILE_VERSION = 4;
/** Its backends have no ids. */
const FORMER_VERSION = 3;

/** Year 5138: beyond it a time is a mistake, and sums of times stay exact. */
const TIME_MS_MAX = 1e14;
const time = z.number().min(0).max(TIME_MS_MAX);
const name = z.string().regex(NAME_PATTERN);
const health = z.enum(['up', 'down', 'dead']);
const upOrDown = z.enum(['up', 'down']);

const address = z.string().transform((text, context): IpAddress => {
  const parsed = parseAddress(text);
  if (parsed?.text !== text) context.addIssue('not an address in canonical form');
  return parsed!;
});
const member = z.strictObject({
  name,
  address,
  weight: z.int().min(0).max(WEIGHT_MAX),
  state: z.enum(['active', 'draining']),
  agent: z.boolean(),
  id: z.int().min(0).max(BACKEND_ID_MAX).optional(),
});
const members = sorted(member.transform(withId));
const prior = sorted(member.extend({ health: upOrDown }).transform(withId));
const id = z.int().min(1);
const queued = z.strictObject({
  id,
  members,
  prior: prior.optional(),
  health: z.record(name, health).optional(),
  plannedAtMs: time,
});

const poolChanges = z
  .strictObject({
    settleMs: time.gt(0),
    nowMs: time,
    members,
    past: z.array(z.strictObject({ members, untilMs: time })),
    marks: z.array(z.strictObject({ name, health, sinceMs: time, rested: upOrDown })),
    queue: z.array(queued).max(CHANGES_QUEUED_MAX),
    lastId: id.or(z.literal(0)),
    holds: sorted(z.strictObject({ name, untilMs: time })),
    override: prior.optional(),
  })
  .refine(({ past, queue, marks, nowMs }) => {
    const times = [
      ...past.map(({ untilMs }) => untilMs),
      ...queue.map(({ plannedAtMs }) => plannedAtMs),
      ...marks.map(({ sinceMs }) => sinceMs),
    ];
    return times.every((at) => at <= nowMs);
  }, 'a time after the last one seen')
  .refine(
    ({ past }) => past.every(({ untilMs }, i) => i === 0 || past[i - 1].untilMs <= untilMs),
    'past members out of order',
  )
  .refine(
    ({ queue, lastId }) =>
      queue.every(({ id }) => id <= lastId) && new Set(queue.map(({ id }) => id)).size === queue.length,
    'ids of queued changes that are given twice, or not yet',
  )
  .refine((pool) => {
    const names = [pool, ...pool.past, ...pool.queue].flatMap((list) => list.members.map((one) => one.name));
    const expected = [...new Set(names)].sort();
    return expected.length === pool.marks.length && expected.every((one, i) => one === pool.marks[i].name);
  }, 'marks that are not those of the members');

const override = z
  .strictObject({
    backend: name,
    state: z.enum(['active', 'draining']).optional(),
    weight: z.int().min(0).max(WEIGHT_MAX).optional(),
    sinceMs: time,
  })
  .refine(({ state, weight }) => state !== undefined || weight !== undefined, 'overrides nothing');

const poolMemory = z.strictObject({
  changes: poolChanges,
  overrides: z.array(override).max(BACKENDS_PER_POOL_MAX),
  drainingSinceMs: z.record(name, time),
});

const pools = z
  .record(name, poolMemory)
  .refine((all) => Object.keys(all).length <= POOLS_MAX, 'too many pools');
const clocks = z.strictObject({ nowMs: time, wallMs: time });

const file = z.strictObject({ version: z.literal([FORMER_VERSION, FILE_VERSION]), clocks, pools });

/** As a config without ids has it. */
function withId<M extends { readonly address: IpAddress; readonly id?: number | undefined }>(member: M) {
  return { ...member, id: member.id ?? defaultId(member.address) };
}

/** An address as it is written; a backend may have any name, `address` too. */
function asText(_: string, value: unknown): unknown {
  return value instanceof Object && 'bytes' in value && value.bytes instanceof Uint8Array
    ? (value as IpAddress).text
    : value;
}

/** The text to keep, by name of pool; ends with a newline. @param now when that is */
export function writeMemory(memory: ReadonlyMap<string, PoolMemory>, now: Clocks): string {
  const kept = [...memory].map(([pool, { changes, overrides, drainingSinceMs }]) => [
    pool,
    { changes, overrides, drainingSinceMs },
  ]);
  const { nowMs, wallMs } = now;
  const contents = { version: FILE_VERSION, clocks: { nowMs, wallMs }, pools: Object.fromEntries(kept) };
  return `${JSON.stringify(contents, asText)}\n`;
}

/**
 * What `writeMemory` wrote, by name of pool, with its times moved to the clock of this process. Call `advance` next: as much
 * time has passed as no process ran, by the wall clock, and none where that was set back meanwhile.
 *
 * @throws AnyhopError ERR_STATE_FILE, with the first field that is wrong
 */
export function readMemory(text: string, now: Clocks): Map<string, PoolMemory> {
  const parsed = file.safeParse(parseJson(text));
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues;
    throw unreadable(`${path.length === 0 ? 'the file' : path.join('.')}: ${message}`);
  }
  return new Map(
    Object.entries(parsed.data.pools).map(([pool, { changes, overrides, drainingSinceMs }]) => {
      const byMs = movedByMs(parsed.data.clocks, changes.nowMs, now);
      // None of these can be later than the last time seen.
      const since = (ms: number): number => movedTime(Math.min(ms, changes.nowMs), byMs);
      const memory: PoolMemory = {
        changes: moved({ ...changes, override: changes.override }, byMs),
        overrides: overrides.map((each) => ({ ...each, sinceMs: since(each.sinceMs) })),
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
    hint: 'Remove the file; the node then takes the present state of each pool as its prior state.',
  });
}

function moved(changes: PoolChanges, byMs: number): PoolChanges {
  if (byMs === 0) return changes;
  const at = (ms: number): number => movedTime(ms, byMs);
  return {
    ...changes,
    nowMs: at(changes.nowMs),
    past: changes.past.map((one) => ({ ...one, untilMs: at(one.untilMs) })),
    marks: changes.marks.map((one) => ({ ...one, sinceMs: at(one.sinceMs) })),
    queue: changes.queue.map((one) => ({ ...one, plannedAtMs: at(one.plannedAtMs) })),
    holds: changes.holds.map((one) => ({ ...one, untilMs: at(one.untilMs) })),
  };
}

function sorted<T extends { name: string }>(one: z.ZodType<T>): z.ZodType<T[]> {
  return z
    .array(one)
    .max(BACKENDS_PER_POOL_MAX)
    .refine(
      (list) => list.every(({ name }, i) => i === 0 || list[i - 1].name < name),
      'not sorted, or one named twice',
    );
}
