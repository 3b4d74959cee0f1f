/**
 * Clients that follow: each gets a whole line at once and after every change, and a short one, "the same", once a second: a whole one about
 * 1,000 services has 150 KB. A line that the client has not taken yet is never followed by a second one: when it is taken, the newest comes
 * next. So what is kept for a slow client is one line, and what it reads is never old.
 *
 *   changed --once a turn--> another line? --yes--+
 *   once a second --------------------------------+--> the last one is taken? --yes--> write: whole if it is another line, else short
 *                                                                            \--no--> when it is; the connection is closed after 3 s
 */
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { FOLLOW_LINE_MS, FOLLOW_SILENCE_MS, FOLLOWERS_MAX } from '../core/limits.js';
import { HEADERS } from './answer.js';
import { ControlError } from './api.js';
import type { FollowSame } from './follow.js';

/** For all clients together to take their last lines. */
const LAST_LINE_MS = 200;
const LINE_HEADERS = { ...HEADERS, 'content-type': 'application/x-ndjson; charset=utf-8' };

/** What is followed. */
export interface Feed {
  /** The present line (`unnumbered`): the same object until another text takes its place. */
  current(): Uint8Array;
  /** Calls `listener` whenever the line may have changed, until the returned function is called. */
  onChange(listener: () => void): () => void;
}

/** What a route answers that is followed. */
export class Followed {
  readonly feed: Feed;

  constructor(feed: Feed) {
    this.feed = feed;
  }
}

/** A line of a feed: everything behind its number. @param value an object with a field at least */
export function unnumbered(value: object): Uint8Array {
  return Buffer.from(`,${JSON.stringify(value).slice(1)}\n`);
}

const SAME = unnumbered({ same: true } satisfies Omit<FollowSame, 'line'>);

export class Followers {
  readonly #followers = new Set<Follower>();

  /** @throws ControlError 429 when there are too many */
  add({ feed }: Followed, response: ServerResponse): void {
    if (this.#followers.size >= FOLLOWERS_MAX) {
      throw new ControlError(429, 'ERR_BUSY', `${FOLLOWERS_MAX} clients follow already`, {
        hint: 'End one of them first: `ss -xp` shows whose they are.',
      });
    }
    const follower = new Follower(feed, response);
    this.#followers.add(follower);
    response.once('close', () => {
      follower.close();
      this.#followers.delete(follower);
    });
  }

  /** Resolves when all have taken their last lines, or do not. */
  async end(): Promise<void> {
    if (this.#followers.size === 0) return;
    const over = new AbortController();
    const waited = delay(LAST_LINE_MS, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([waited, Promise.all([...this.#followers].map((follower) => follower.end()))]);
    over.abort();
  }
}

class Follower {
  readonly #feed: Feed;
  readonly #response: ServerResponse;
  readonly #timer: NodeJS.Timeout;
  readonly #unfollow: () => void;
  #lines = 0;
  /** The last whole line. */
  #told: Uint8Array | undefined;
  /** Since when a line waits to be taken. */
  #waitsSinceMs: number | undefined;
  /** Another line comes when that one is taken. */
  #isDue = false;
  #turn: NodeJS.Immediate | undefined;

  constructor(feed: Feed, response: ServerResponse) {
    this.#feed = feed;
    this.#response = response;
    response.setHeaders(new Map(Object.entries(LINE_HEADERS)));
    this.#unfollow = feed.onChange(() => {
      this.#turn ??= setImmediate(() => this.#changed());
    });
    this.#timer = setInterval(() => this.#again(), FOLLOW_LINE_MS).unref();
    this.#tell();
  }

  close(): void {
    this.#unfollow();
    clearInterval(this.#timer);
    clearImmediate(this.#turn);
  }

  /** Resolves when the client has taken all, or is gone. */
  end(): Promise<void> {
    this.close();
    return new Promise((resolve) => {
      this.#response.once('close', resolve).once('finish', resolve);
      if (this.#feed.current() !== this.#told) this.#write();
      this.#response.end();
    });
  }

  #changed(): void {
    this.#turn = undefined;
    if (this.#feed.current() !== this.#told) this.#tell();
  }

  #again(): void {
    const waitedMs = performance.now() - (this.#waitsSinceMs ?? Number.POSITIVE_INFINITY);
    if (waitedMs >= FOLLOW_SILENCE_MS) this.#response.destroy();
    else this.#tell();
  }

  #tell(): void {
    if (this.#waitsSinceMs === undefined) this.#write();
    else this.#isDue = true;
  }

  #write(): void {
    const line = this.#feed.current();
    const isSame = line === this.#told;
    this.#lines += 1;
    this.#told = line;
    this.#waitsSinceMs = performance.now();
    this.#isDue = false;
    this.#response.write(`{"line":${this.#lines}`);
    this.#response.write(isSame ? SAME : line, (failure) => {
      this.#waitsSinceMs = undefined;
      if (!failure && this.#isDue && !this.#response.writableEnded) this.#tell();
    });
  }
}
