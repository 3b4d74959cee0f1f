/** When the config in force was read, and whether the last one was in order: for processes that keep no status of it. */
import { type MetricTable, single } from './table.js';

export class Reloads {
  #inForceSinceMs = Date.now();
  #isGood = true;

  accepted(): void {
    this.#inForceSinceMs = Date.now();
    this.#isGood = true;
  }

  refused(): void {
    this.#isGood = false;
  }

  table(): MetricTable {
    return reloadTable(this.#isGood, this.#inForceSinceMs);
  }
}

/** @param inForceSinceMs milliseconds since 1970 */
export function reloadTable(isGood: boolean, inForceSinceMs: number): MetricTable {
  return single({
    anyhop_config_last_reload_successful: isGood,
    anyhop_config_last_reload_timestamp_seconds: inForceSinceMs / 1000,
  });
}
