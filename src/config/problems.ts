/** Collects problems or warnings with their places, so that a user sees all of them in the order of the file. */
import type { ConfigDocument } from './document.js';
import { byPlace, type ConfigProblem, formatProblem } from './error.js';
import { type FieldPath, formatPath } from './path.js';

/** A value that did not come from the file. */
export interface Outside {
  readonly origin: 'command line' | 'environment';
  /** `--source`, `ANYHOP_SOURCE`. */
  readonly name: string;
}

/** The origin of a value: a field of the file, or outside. */
export type At = FieldPath | Outside;

/** Reports a problem with the value (or the key) at a place. */
export type Report = (at: At, message: string, part?: 'value' | 'key') => void;

export class Problems {
  readonly #document: ConfigDocument;
  readonly #found = new Map<string, ConfigProblem>();

  constructor(document: ConfigDocument) {
    this.#document = document;
  }

  readonly report: Report = (at, message, part = 'value') => {
    if (isPath(at)) {
      const place = this.#document.locate(at, part);
      this.#add({ file: this.#document.file, ...place, field: formatPath(at), message });
    } else {
      this.#add({ file: at.origin, line: 0, column: 0, field: at.name, message });
    }
  };

  /** In the order of the file, without duplicates. */
  list(): ConfigProblem[] {
    return [...this.#found.values()].sort(byPlace);
  }

  #add(problem: ConfigProblem): void {
    this.#found.set(formatProblem(problem), problem);
  }
}

/** `line 12`, or the origin outside the file; for messages that mention another field. */
export function describePlace(document: ConfigDocument, at: At): string {
  return isPath(at) ? `line ${document.locate(at).line}` : `the ${at.origin}, ${at.name}`;
}

export function isPath(at: At): at is FieldPath {
  return Array.isArray(at);
}
