/** A client that follows a node: the lines as they come, short ones made whole, and when the stream has ended. */
import { type ClientRequest, request } from 'node:http';
import type { FollowLine, FollowSame } from '#anyhop/api/follow.js';

export interface FollowedLine extends FollowLine, Partial<Pick<FollowSame, 'same'>> {
  /** Time of arrival (performance.now). */
  readonly atMs: number;
}

export interface FollowClient {
  readonly lines: readonly FollowedLine[];
  /** Resolves to when the stream ended, and whether it was complete. */
  readonly ended: Promise<{ readonly atMs: number; readonly whole: boolean }>;
  /** The first line from `after` on, counted from 0, for which it holds. */
  line(what: string, holds: (line: FollowLine) => boolean, after?: number): Promise<FollowedLine>;
  close(): void;
}

/** Longer than anything takes that is waited for, on a busy machine. */
const WAIT_MS = 20_000;

/** Resolves when the node answers. @throws Error with the answer when that is no stream */
export function follow(socketPath: string): Promise<FollowClient> {
  return new Promise((resolve, reject) => {
    const asked: ClientRequest = request({ socketPath, path: '/follow', agent: false }, (response) => {
      if (response.statusCode !== 200) {
        response
          .setEncoding('utf8')
          .once('data', (text) => reject(new Error(`${response.statusCode} ${text}`)));
        return;
      }
      const lines: FollowedLine[] = [];
      let whole: FollowLine | undefined;
      const waiting = new Set<() => void>();
      // Not by readline, which looks through all of a long line again with each part.
      let line = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        const [rest = '', ...more] = part.split('\n');
        line += rest;
        for (const next of more) {
          const one = JSON.parse(line) as FollowLine | FollowSame;
          if (!('same' in one)) whole = one;
          lines.push({ ...whole!, ...one, atMs: performance.now() });
          line = next;
          for (const look of waiting) look();
        }
      });
      response.on('error', () => undefined); // cut off: `whole` says so
      const ended = new Promise<{ atMs: number; whole: boolean }>((over) => {
        response.once('close', () => over({ atMs: performance.now(), whole: response.complete }));
      });
      resolve({
        lines,
        ended,
        line: (what, holds, after = 0) =>
          new Promise((found, missing) => {
            const look = (): void => {
              const line = lines.slice(after).find(holds);
              if (line === undefined) return;
              done();
              found(line);
            };
            const timer = setTimeout(() => {
              done();
              missing(new Error(`no line ${what}; the last one is ${JSON.stringify(lines.at(-1))}`));
            }, WAIT_MS);
            const done = (): void => {
              clearTimeout(timer);
              waiting.delete(look);
            };
            waiting.add(look);
            look();
          }),
        close: () => asked.destroy(),
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}
