/** JSON of another program's API, as far as it is used. */
import type * as z from 'zod';
import { formatPath } from '../../config/path.js';
import { printable } from '../../core/printable.js';

/** @param where for messages @throws Error with the place and what is wrong there */
export function readJson<T>(schema: z.ZodType<T>, body: Buffer, where: string): T {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new Error(`${where}: the answer is no JSON`);
  }
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data as T;
  const { path, message } = error.issues[0]!;
  throw new Error(`${where}: ${printable(formatPath(path as (string | number)[]))}: ${message}`);
}
