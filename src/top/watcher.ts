/** Asks nodes for their status again and again, each for itself, and keeps what they said last and what does not answer. */
import type { NodeStatus } from '../api/status.js';
import { reasonOf } from '../core/reason.js';
import type { Answer, NodeSeen } from '../view/seen.js';
import { asStatus } from '../view/shape.js';

/** One that can be asked, by whatever way: its control socket, or a sibling's listener. */
export interface Asked {
  /** Unique among those that are watched. */
  readonly label: string;
  /** What came for `GET /status`: of any shape. Has an end of its own. @throws when none came */
  readonly ask: () => Promise<unknown>;
}

interface Watched {
  readonly asked: Asked;
  answer?: Answer;
  before?: Answer;
  silence?: string;
  error?: unknown;
  timer?: NodeJS.Timeout;
}

export class Watcher {
  readonly #watched: readonly Watched[];
  readonly #everyMs: number;
  readonly #onNews: () => void;
  readonly #now: () => number;
  #isClosed = false;

  constructor(
    nodes: readonly Asked[],
    everyMs: number,
    onNews: () => void = () => undefined,
    now: () => number = Date.now,
  ) {
    this.#watched = nodes.map((asked) => ({ asked }));
    this.#everyMs = everyMs;
    this.#onNews = onNews;
    this.#now = now;
  }

  /** Asks each once. @throws what the first of them met, when none answers */
  async once(): Promise<void> {
    await Promise.all(this.#watched.map((one) => this.#ask(one)));
    if (this.#watched.every(({ answer }) => answer === undefined)) throw this.#watched[0].error;
  }

  /** Asks each again and again: the next time so long after an answer, and never twice at once. */
  start(): void {
    for (const one of this.#watched) this.#later(one);
  }

  seen(): NodeSeen[] {
    return this.#watched.map(({ asked: { label }, answer, before, silence }) => ({
      label,
      answer,
      before,
      silence,
    }));
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#watched) clearTimeout(timer);
  }

  #later(one: Watched): void {
    if (this.#isClosed) return;
    one.timer = setTimeout(async () => {
      await this.#ask(one);
      if (this.#isClosed) return;
      this.#onNews();
      this.#later(one);
    }, this.#everyMs);
  }

  async #ask(one: Watched): Promise<void> {
    try {
      const status: NodeStatus = asStatus(await one.asked.ask());
      if (one.answer !== undefined) one.before = one.answer;
      one.answer = { at: this.#now(), status };
      delete one.silence;
    } catch (error) {
      one.error = error;
      one.silence = reasonOf(error);
    }
  }
}
