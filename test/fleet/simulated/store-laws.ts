/**
 * What holds for everything that is written to the store of a simulated fleet, whoever writes it in whatever order:
 *
 *   what is being prepared stands upon what is in force, and is written over nobody else's
 *   what comes into force is what is being prepared, and stands upon what was in force
 *   no revision is written over or removed
 */
import { ACTIVE, INTENT, REVISIONS, revisionPlace } from '#anyhop/fleet/places.js';
import { digestOfText, peeked, type Revision } from '#anyhop/fleet/record.js';
import { readActive, readIntent } from '#anyhop/fleet/said.js';
import type { SimulatedEtcd } from './etcd.js';

export class StoreLaws {
  readonly #etcd: SimulatedEtcd;
  readonly #breaks: (law: string) => void;
  /** `7 by NAME` of each revision that was ever being prepared. */
  readonly everBegun = new Set<string>();
  /** SHA-256 of each text that was ever in force. */
  readonly everInForce = new Set<string>();
  /** What was put in force and is still in the store, by the digest of its record. */
  readonly known = new Map<string, Revision>();
  #last: readonly [atMs: number, what: string] | undefined;

  constructor(etcd: SimulatedEtcd, breaks: (law: string) => void) {
    this.#etcd = etcd;
    this.#breaks = breaks;
    etcd.writing = (writes) => this.#check(writes);
  }

  /** What came into force last, and when. */
  get lastInForce(): readonly [atMs: number, what: string] | undefined {
    return this.#last;
  }

  restored(): void {
    for (const [digest, { number }] of this.known) {
      const record = this.#etcd.get(revisionPlace(number));
      if (record === undefined || digestOfText(record) !== digest) this.known.delete(digest);
    }
    this.#last = undefined;
  }

  #check(writes: ReadonlyMap<string, string | undefined>): void {
    for (const [place, value] of writes) {
      if (place === INTENT && value !== undefined) this.#begins(value);
      if (place === ACTIVE) this.#switches(writes);
      if (place.startsWith(REVISIONS) && this.#etcd.get(place) !== undefined)
        this.#breaks(`${place} is written over`);
    }
  }

  #begins(value: string): void {
    const record = readIntent(value)!.record;
    const { number, by, parent } = peeked(record);
    this.everBegun.add(`${number} by ${by}`);
    const other = this.#intended;
    if (other !== undefined && other !== record)
      this.#breaks(`${by} writes over revision ${peeked(other).number} by ${peeked(other).by}`);
    if (parent !== this.#active?.record)
      this.#breaks(`${by} prepares revision ${number} upon another one than what is in force`);
  }

  #switches(writes: ReadonlyMap<string, string | undefined>): void {
    const next = readActive(writes.get(ACTIVE))!;
    const record = writes.get(revisionPlace(next.number));
    const intended = this.#intended;
    if (record === undefined || digestOfText(record) !== next.record) {
      this.#breaks(`revision ${next.number} comes into force without its record`);
      return;
    }
    const { number, by, parent, config } = peeked(record);
    if (intended !== record || writes.get(INTENT) !== undefined)
      this.#breaks(`${by} puts revision ${number} in force, which is not being prepared`);
    if (parent !== this.#active?.record)
      this.#breaks(`${by} puts revision ${number} in force upon another one than what is in force`);
    this.everInForce.add(config);
    this.known.set(next.record, peeked(record));
    this.#last = [this.#etcd.clock.nowMs, `${number} by ${by}`];
  }

  get #active() {
    return readActive(this.#etcd.get(ACTIVE));
  }

  get #intended(): string | undefined {
    return readIntent(this.#etcd.get(INTENT))?.record;
  }
}
