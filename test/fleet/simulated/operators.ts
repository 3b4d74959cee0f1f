/**
 * The operators of a simulated fleet, who may all change it at once, and what holds for them:
 *
 *   exactly one wins: what was put in force has an operator who is told so, or cannot know; who is refused is in force nowhere
 *   who is refused because of another change is told which one
 *
 * and for what they write to the store (store-laws.ts).
 */
import { AnyhopError } from '#anyhop/core/errors.js';
import { apply } from '#anyhop/fleet/apply.js';
import { MISSED_MAX } from '#anyhop/fleet/missed.js';
import { digestOfText, peeked } from '#anyhop/fleet/record.js';
import type { FleetStore } from '#anyhop/fleet/store.js';
import { readFleetView } from '#anyhop/fleet/view.js';
import { recordingLog } from '../fleet.js';
import type { SimulatedEtcd } from './etcd.js';
import { Link, type Stall } from './link.js';
import { config, key, storeBy } from './setting.js';
import { StoreLaws } from './store-laws.js';

/** What came into force since may be unknown to one who has asked before. */
const ANSWER_MS = 3_000;
const OTHER = /^(revision (\d+) by (.+?)|another change) (?:came in between|is being prepared); nothing/;

export interface Operator {
  readonly name: string;
  readonly text: string;
  readonly startMs: number;
  readonly link: Link;
  readonly store: FleetStore;
  readonly abort: AbortController;
  result: 'open' | 'killed' | { readonly number: number; readonly late: readonly string[] } | Error;
}

export class Operators {
  readonly #etcd: SimulatedEtcd;
  readonly #breaks: (law: string) => void;
  readonly #laws: StoreLaws;
  readonly #all: Operator[] = [];
  /** Texts that are in force nowhere, for a change that came to nothing. */
  readonly #refused = new Set<string>();
  /** Changes that came into force, by number. */
  readonly #won = new Map<number, string>();
  readonly #taken = new Set<string>();

  /** @param breaks is told which law is broken */
  constructor(etcd: SimulatedEtcd, breaks: (law: string) => void) {
    this.#etcd = etcd;
    this.#breaks = breaks;
    this.#laws = new StoreLaws(etcd, breaks);
  }

  get open(): Operator[] {
    return this.#all.filter(({ result }) => result === 'open');
  }

  /** Begins it, and does not wait. @param stall what holds it up, if anything does */
  apply(without: readonly string[] = [], stall?: Stall): Operator {
    const link = new Link(this.#etcd);
    link.stall = stall;
    const number = this.#all.length + 1;
    const operator: Operator = {
      name: `operator ${number}`,
      text: `config ${number}`,
      startMs: this.#etcd.clock.nowMs,
      link,
      store: storeBy(link, recordingLog([])),
      abort: new AbortController(),
      result: 'open',
    };
    this.#all.push(operator);
    void run(operator, without).then(
      ({ revision, late }) => this.#ended(operator, { number: revision.number, late }),
      (error: Error) => this.#ended(operator, error),
    );
    return operator;
  }

  kill(killed: readonly Operator[] = this.open): void {
    for (const operator of killed) {
      operator.result = 'killed';
      operator.link.isDead = true;
      operator.store.close();
    }
  }

  /** The store has forgotten what was in force. */
  restored(): void {
    this.#won.clear();
    this.#laws.restored();
  }

  /** Numbers of the revisions that were in force between two records, the newest first. @param before undefined for none */
  between(before: string | undefined, after: string): number[] {
    const endDigest = before && digestOfText(before);
    const numbers: number[] = [];
    for (let child = peeked(after); numbers.length < MISSED_MAX; ) {
      const found = this.#laws.known.get(child.parent ?? '');
      if (found === undefined || child.parent === endDigest) break;
      numbers.push(found.number);
      child = found;
    }
    return numbers;
  }

  /** A member has it in force. */
  taken(place: string, text: string): void {
    this.#taken.add(text);
    if (this.#refused.has(text)) this.#breaks(`${place} takes "${text}", which was refused`);
  }

  #ended(operator: Operator, result: Operator['result']): void {
    if (operator.result === 'killed') return;
    operator.result = result;
    operator.store.close();
    if (result instanceof Error) this.#lost(operator, result);
    else if (typeof result === 'object') this.#wins(operator, result.number);
  }

  #wins({ name, text }: Operator, number: number): void {
    const other = this.#won.get(number);
    if (other !== undefined) this.#breaks(`"${other}" and "${text}" are both revision ${number}`);
    this.#won.set(number, text);
    if (!this.#laws.everInForce.has(digestOfText(text)))
      this.#breaks(`${name} is told that "${text}" is in force, and it never was`);
  }

  #lost(operator: Operator, error: Error): void {
    if (!(error instanceof AnyhopError)) throw error;
    const { name, text } = operator;
    const { message } = error;
    if (/nobody knows yet/.test(message)) return;
    this.#refused.add(text);
    if (this.#taken.has(text) || this.#laws.everInForce.has(digestOfText(text)))
      this.#breaks(`"${text}" failed (${message}), and is in force somewhere`);
    const told = OTHER.exec(message);
    if (told?.[3] === name) this.#breaks(`${name} is told that its own change is in its way: ${message}`);
    if (told?.[2] !== undefined && !this.#laws.everBegun.has(`${told[2]} by ${told[3]}`))
      this.#breaks(`${name} is told of what nobody has begun: ${message}`);
    if (/forgot/.test(message)) this.#requireNoOther(operator);
  }

  /** It is told that the store has forgotten its change, and of no other one. */
  #requireNoOther({ name, startMs }: Operator): void {
    const [lastMs, last] = this.#laws.lastInForce ?? [Number.NEGATIVE_INFINITY, ''];
    if (lastMs > startMs + ANSWER_MS && lastMs < this.#etcd.clock.nowMs - ANSWER_MS)
      this.#breaks(`${name} is not told of revision ${last}, which came in between`);
  }
}

async function run({ name: by, text, store, abort }: Operator, without: readonly string[]) {
  const said = { digest: digestOfText(text), by, message: '', force: false, changes: [] };
  return apply(
    store,
    await readFleetView(store, config),
    { text, without: [...without], ...said },
    { fleet: config, key, signal: abort.signal, progress: () => undefined },
  );
}
