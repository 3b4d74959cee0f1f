/** What comes back for a request: JSON whole or in parts, and for an error the status and body that say what was wrong. */
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ConfigError } from '../config/error.js';
import { ControlError, type ErrorReport } from './api.js';

export type Answer =
  | { readonly status: number; readonly json: unknown }
  /** Text that makes up one JSON value; each part is made in a turn of the event loop of its own. */
  | { readonly status: number; readonly parts: Iterable<string> };

/** `{error: ...}` as api.ts describes it; undefined for what is no refusal but a fault of the node. */
export function refusalOf(error: unknown): Answer | undefined {
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

export function errorAnswer(status: number, error: ErrorReport): Answer & { json: unknown } {
  return { status, json: { error } };
}

/** Of every answer. One request a connection: there is no queue of them to bound. */
export const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
  connection: 'close',
} as const;

/** Whether a client that goes away meanwhile loses anything is its own business: nothing is thrown then. */
export async function send(response: ServerResponse, answer: Answer): Promise<void> {
  if ('parts' in answer) {
    response.writeHead(answer.status, HEADERS);
    for (const part of answer.parts) {
      if (response.destroyed) return;
      if (!response.write(part)) await written(response);
      await nextTurn();
    }
    response.end('\n');
    return;
  }
  const text = `${JSON.stringify(answer.json)}\n`;
  response.writeHead(answer.status, { ...HEADERS, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function written(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
