/** What files of remembered pools (change-file.ts) are made of, in this version and the former ones. */
import * as z from 'zod';
import { NAME_PATTERN } from '../config/name-fields.js';
import { BACKEND_ID_MAX, BACKENDS_PER_POOL_MAX, CHANGES_QUEUED_MAX, WEIGHT_MAX } from '../core/limits.js';
import { type IpAddress, parseAddress } from '../packet/address.js';
import { defaultId } from '../packet/second-chance-key.js';

/** Year 5138: beyond it a time is a mistake, and sums of times stay exact. */
export const TIME_MS_MAX = 1e14;
export const time = z.number().min(0).max(TIME_MS_MAX);
export const name = z.string().regex(NAME_PATTERN);
export const health = z.enum(['up', 'down', 'dead']);
export const upOrDown = z.enum(['up', 'down']);
export const id = z.int().min(1);

const address = z.string().transform((text, context): IpAddress => {
  const parsed = parseAddress(text);
  if (parsed?.text !== text) context.addIssue('not an address in canonical form');
  return parsed!;
});
/** Of what agents ask for. */
export const agentDrain = z.strictObject({
  address: address.transform(({ text }) => text),
  isAsked: z.boolean(),
});
const fields = z.strictObject({
  name,
  address,
  weight: z.int().min(0).max(WEIGHT_MAX),
  state: z.enum(['active', 'draining']),
  agent: z.boolean(),
  id: z.int().min(0).max(BACKEND_ID_MAX).optional(),
});
export const member = fields.transform(withId);
export const prior = sorted(fields.extend({ health: upOrDown }).transform(withId));
export const holds = sorted(z.strictObject({ name, untilMs: time }));

/** As a config without ids has it. */
function withId<M extends { readonly address: IpAddress; readonly id?: number | undefined }>(one: M) {
  return { ...one, id: one.id ?? defaultId(one.address) };
}

export function queue<T extends z.ZodObject>(step: T) {
  return z.array(step).max(CHANGES_QUEUED_MAX);
}

export function sorted<T extends { name: string }>(one: z.ZodType<T>): z.ZodType<T[]> {
  return z
    .array(one)
    .max(BACKENDS_PER_POOL_MAX)
    .refine((list) => isSorted(list.map((each) => each.name)), 'not sorted, or one named twice');
}

export function isSorted(names: readonly string[]): boolean {
  return names.every((each, i) => i === 0 || names[i - 1] < each);
}
