/** What comes back for an error: a status, and the body that says what was wrong. */
import { ConfigError } from '../config/error.js';
import { ControlError, type ErrorReport } from './api.js';

export interface ErrorAnswer {
  readonly status: number;
  readonly json: { readonly error: ErrorReport };
}

/** As api.ts describes it; undefined for what is no refusal but a fault of the node. */
export function refusalOf(error: unknown): ErrorAnswer | undefined {
  if (error instanceof ConfigError) {
    const count = error.problems.length;
    const message = `the config file has ${count} problem${count === 1 ? '' : 's'}; what was in force still is`;
    return errorAnswer(422, { code: error.code, message, problems: error.problems });
  }
  if (error instanceof ControlError) {
    const { status, code, message, hint, problems } = error;
    return errorAnswer(status, { code, message, hint, problems });
  }
  return undefined;
}

export function errorAnswer(status: number, error: ErrorReport): ErrorAnswer {
  return { status, json: { error } };
}

/** Of every answer. One request a connection: there is no queue of them to bound. */
export const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
  connection: 'close',
} as const;
