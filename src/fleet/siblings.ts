/**
 * What siblings have in force, asked while the store does not answer: a node that is cut off from the store alone would go on by a revision
 * that the others have left. Their word counts only with the operator's signature (head.ts), and one that does not answer is no reason for
 * anything.
 */
import * as z from 'zod';
import type { RevisionText } from '../config/load.js';
import { FLEET_RECORD_BYTES_MAX } from '../core/limits.js';

/** How often. */
const EVERY_MS = 5_000;

export interface AskedSibling {
  readonly name: string;
  /** The text of a RevisionReport (api/status.ts). @throws Error when it does not answer, in some time */
  readonly ask: () => Promise<string>;
}

export interface SiblingsOptions {
  /** Those of a config. @throws AnyhopError */
  readonly of: (text: RevisionText) => readonly AskedSibling[];
  /** In force here; undefined for none. */
  readonly inForce: () => RevisionText | undefined;
  readonly isStoreAway: () => boolean;
  readonly heard: (record: string, sibling: string) => void;
}

const answer = z.object({ record: z.string().max(2 * FLEET_RECORD_BYTES_MAX) });

export class Siblings {
  readonly #options: SiblingsOptions;
  readonly #timer: NodeJS.Timeout;
  #known: { readonly text: RevisionText; readonly siblings: readonly AskedSibling[] } | undefined;

  constructor(options: SiblingsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.look(), EVERY_MS).unref();
  }

  /** Resolves when each has answered, or does not; at once while the store answers. */
  async look(): Promise<void> {
    if (!this.#options.isStoreAway()) return;
    await Promise.all(this.#siblings().map((sibling) => this.#ask(sibling)));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A config is read once: one with 1,000 backends takes 200 ms. */
  #siblings(): readonly AskedSibling[] {
    const text = this.#options.inForce();
    if (text === undefined) return [];
    if (this.#known?.text !== text) {
      let siblings: readonly AskedSibling[] = [];
      try {
        siblings = this.#options.of(text);
      } catch {
        // What is wrong with the config was said when it came into force.
      }
      this.#known = { text, siblings };
    }
    return this.#known.siblings;
  }

  async #ask({ name, ask }: AskedSibling): Promise<void> {
    try {
      this.#options.heard(answer.parse(JSON.parse(await ask())).record, name);
    } catch {
      // It is away too, or in no fleet.
    }
  }
}
