/**
 * Which parts of an answer may be acted on: all of it once it has been the same for the debounce time; of a source that never comes to
 * rest, after four times as long, what it says of those names that have.
 *
 *   answers   A  A  B  B  B  B  B  B       quiet since B: all of it
 *             A  B  A  B  A  B  A  B       never quiet: names that are the same in A and B
 */
import { type Found, identityOf } from './answer.js';

const RESTLESS_TIMES = 4;

export class Debounce {
  readonly #waitMs: number;
  /** By name: what was said of it last, and since when. */
  readonly #said = new Map<string, { readonly identity: string; readonly sinceMs: number }>();
  /** Since when something has been said that is not acted on yet. */
  #restlessSinceMs: number | undefined;
  #lastChangeMs = Number.NEGATIVE_INFINITY;

  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /** @param known names that the group has, of which the answer may say nothing */
  heard(found: readonly Found[], known: Iterable<string>, nowMs: number): void {
    const said = new Map(found.map((one) => [one.name, identityOf(one)]));
    const members = new Set(known);
    for (const name of new Set([...members, ...said.keys(), ...this.#said.keys()])) {
      const identity = said.get(name) ?? '';
      if (this.#said.get(name)?.identity === identity) continue;
      this.#said.set(name, { identity, sinceMs: nowMs });
      this.#lastChangeMs = nowMs;
    }
    if (this.#lastChangeMs === nowMs) this.#restlessSinceMs ??= nowMs;
    for (const [name, { identity, sinceMs }] of this.#said)
      if (identity === '' && !members.has(name) && nowMs - sinceMs > RESTLESS_TIMES * this.#waitMs)
        this.#said.delete(name);
  }

  /** Whether a name may be acted on; undefined while nothing may. */
  holds(nowMs: number): ((name: string) => boolean) | undefined {
    if (nowMs - this.#lastChangeMs >= this.#waitMs) {
      this.#restlessSinceMs = undefined;
      return () => true;
    }
    const restlessMs = nowMs - (this.#restlessSinceMs ?? nowMs);
    if (restlessMs < RESTLESS_TIMES * this.#waitMs) return undefined;
    return (name) => {
      const said = this.#said.get(name);
      return said === undefined || nowMs - said.sinceMs >= this.#waitMs;
    };
  }
}
