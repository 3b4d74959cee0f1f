/**
 * Pools in files of versions 3 and 4, which remembered members of the past and one settled mark of each backend: `rested`, the last that
 * had stood for a settle time. Version 3 has no ids. What was in force then becomes remembered states with these marks.
 */
import * as z from 'zod';
import { STATES_REMEMBERED_MAX } from '../core/limits.js';
import type { PoolChanges } from './change.js';
import { health, holds, id, member, name, prior, queue, sorted, time, upOrDown } from './kept-parts.js';
import { drainingIn, type PlannedChange, withPlanned } from './open-changes.js';
import { isSameMoment, momentOf, type RememberedState } from './remembered.js';

export const FORMER_VERSIONS = [3, 4] as const;

const members = sorted(member);
const queued = z.strictObject({
  id,
  members,
  prior: prior.optional(),
  health: z.record(name, health).optional(),
  plannedAtMs: time,
});

export const formerChanges = z
  .strictObject({
    settleMs: time.gt(0),
    nowMs: time,
    members,
    past: z.array(z.strictObject({ members, untilMs: time })),
    marks: z.array(z.strictObject({ name, health, sinceMs: time, rested: upOrDown })),
    queue: queue(queued),
    lastId: id.or(z.literal(0)),
    holds,
    override: prior.optional(),
  })
  .refine(
    ({ past }) => past.every(({ untilMs }, i) => i === 0 || past[i - 1].untilMs <= untilMs),
    'past members out of order',
  )
  .transform((former): PoolChanges => {
    const { past, marks, override, queue: steps, ...rest } = former;
    const named = new Set([former, ...steps].flatMap((list) => list.members.map((one) => one.name)));
    const changes: PoolChanges = {
      ...rest,
      override,
      remembered: [],
      planned: plannedIn(former),
      marks: marks.flatMap(({ name, health, sinceMs }) =>
        named.has(name) ? [{ name, health, sinceMs }] : [],
      ),
      queue: steps.map(({ id, members, prior, plannedAtMs }) => ({ id, members, prior, plannedAtMs })),
    };
    return { ...changes, remembered: rememberedIn(former, changes) };
  });

interface Former {
  readonly nowMs: number;
  readonly members: PoolChanges['members'];
  readonly past: readonly Pick<RememberedState, 'members' | 'untilMs'>[];
  readonly marks: readonly { readonly name: string; readonly rested: 'up' | 'down' }[];
}

function rememberedIn({ nowMs, members, past, marks }: Former, changes: PoolChanges): RememberedState[] {
  const down = new Set(marks.flatMap(({ name, rested }) => (rested === 'down' ? [name] : [])));
  const now = momentOf(changes);
  const states = [...past, { members, untilMs: nowMs }].reverse().map((one) => ({
    ...one,
    down: one.members.flatMap(({ name }) => (down.has(name) ? [name] : [])),
    unreachable: [],
  }));
  return states
    .filter((one, i) => !isSameMoment(one, now) && states.findIndex((each) => isSameMoment(each, one)) === i)
    .slice(0, STATES_REMEMBERED_MAX);
}

function plannedIn({ members, past }: Former): readonly PlannedChange[] {
  const lists = [...past.map((one) => one.members), members];
  const first = [...drainingIn(lists[0])];
  return past.reduce<readonly PlannedChange[]>(
    (planned, { untilMs }, i) => withPlanned(planned, lists[i], lists[i + 1], untilMs),
    first.length === 0 ? [] : [{ drains: first }],
  );
}
