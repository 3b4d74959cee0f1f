/** Counts the entries that routes become, and stops a config whose routes multiply before it fills the memory. */
import { AnyhopError } from '../../core/errors.js';
import { L7_CONDITION_NAMES_MAX, L7_ROUTE_ENTRIES_MAX } from '../../core/limits.js';

/** Too many entries, or names in conditions. */
export class RouteLimitError extends AnyhopError {
  /** Indexes of routes that are the cause, in the order of the file. */
  readonly routes: readonly number[];

  constructor(message: string, hint: string, routes: readonly number[]) {
    super('ERR_LIMIT', message, { hint });
    this.routes = routes;
  }
}

export function checkNames(count: number, routes: readonly number[]): void {
  if (count > L7_CONDITION_NAMES_MAX)
    throw new RouteLimitError(
      `the routes of one frontend ask for ${count} different headers and cookies; the limit is ${L7_CONDITION_NAMES_MAX}`,
      'Use fewer names: a header may have any number of values.',
      routes,
    );
}

export class Budget {
  #left = L7_ROUTE_ENTRIES_MAX;
  readonly #exceeded: () => RouteLimitError;

  /** @param exceeded makes the error, which names the routes that multiply */
  constructor(exceeded: () => RouteLimitError) {
    this.#exceeded = exceeded;
  }

  /** @throws RouteLimitError */
  spend(count: number): void {
    this.#left -= count;
    if (this.#left < 0) throw this.#exceeded();
  }
}
