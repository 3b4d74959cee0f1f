/**
 * A bounded number of things, shared between owners: when there is no room, the owner of the most loses its oldest. So nobody keeps
 * others out by taking more, and each new one gets in. Pure: connections of a server by address.
 */
export class Shares<T> {
  readonly #max: number;
  readonly #maxEach: number;
  /** By owner, the oldest first. */
  readonly #held = new Map<string, Set<T>>();
  #count = 0;

  /**
   * @param max of all owners together
   * @param maxEach of one owner, however much room there is
   */
  constructor(max: number, maxEach: number) {
    this.#max = max;
    this.#maxEach = maxEach;
  }

  /** Lets one more in; one that is in keeps its place. @returns the one that has left for it; undefined when there was room */
  enter(owner: string, one: T): T | undefined {
    const own = this.#held.get(owner) ?? new Set<T>();
    if (own.has(one)) return undefined;
    const payer =
      own.size >= this.#maxEach ? owner : this.#count >= this.#max ? this.#richest(owner) : undefined;
    const gone = payer === undefined ? undefined : this.#oldestOf(payer);
    if (gone !== undefined) this.leave(payer!, gone);
    // Again: the owner may have been the payer, and have had one only.
    const rest = this.#held.get(owner) ?? own;
    this.#held.set(owner, rest.add(one));
    this.#count++;
    return gone;
  }

  /** It is over, or has left already. */
  leave(owner: string, one: T): void {
    const own = this.#held.get(owner);
    if (own?.delete(one) !== true) return;
    this.#count--;
    if (own.size === 0) this.#held.delete(owner);
  }

  /** The owner of the most; the one who asks when nobody has more. */
  #richest(asking: string): string {
    let richest = asking;
    let most = this.#held.get(asking)?.size ?? 0;
    for (const [owner, { size }] of this.#held) {
      if (size <= most) continue;
      richest = owner;
      most = size;
    }
    return richest;
  }

  #oldestOf(owner: string): T | undefined {
    return this.#held.get(owner)?.values().next().value;
  }
}
