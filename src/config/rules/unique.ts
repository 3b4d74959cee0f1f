/** Reports a value that must be unique and is not, with the place of the first one. */
import type { ConfigDocument } from '../document.js';
import { type At, describePlace, type Report } from '../problems.js';

export class Unique {
  readonly #document: ConfigDocument;
  readonly #report: Report;
  readonly #first = new Map<string, At>();

  constructor(document: ConfigDocument, report: Report) {
    this.#document = document;
    this.#report = report;
  }

  /** @param what start of the message: `the name "web-1"` */
  add(identity: string, at: At, what: string): void {
    const first = this.#first.get(identity);
    if (first === undefined) this.#first.set(identity, at);
    else
      this.#report(
        at,
        `${what} is taken already (${describePlace(this.#document, first)}); expected another one`,
      );
  }
}
