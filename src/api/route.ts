/** What a route of the control API is. */
import type { ServerResponse } from 'node:http';
import type { z } from 'zod';

/** One thing that can be asked or told; `docs/reference/control-api.md` is made of the list. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** In a sentence. */
  readonly does: string;
  /** The type of what comes back, in api.ts, status.ts, capture.ts, defend.ts or follow.ts. */
  readonly answers: string;
  /** Of the query of a GET, of the body of a POST. */
  readonly fields: z.ZodObject;
  /** Of a POST that changes nothing. */
  readonly onlyAsks?: true;
  /** Of a change that need not wait for others: many of them come into force together. */
  readonly besideOthers?: true;
  /** @param fields as they were checked */
  answer(fields: never, response: ServerResponse): unknown;
}

function route(method: Route['method']) {
  return <T extends z.ZodObject>(
    path: string,
    answers: string,
    does: string,
    fields: T,
    answer: (fields: z.output<T>, response: ServerResponse) => unknown,
  ): Route => ({ method, path, answers, does, fields, answer });
}
export const get = route('GET');
export const post = route('POST');
