/**
 * A member's steps from one revision to the next:
 *
 *   now/intent --> prepare --> prepared, or refused and why
 *   now/active --> (forwarders last) --> activate --> kept on disk
 *
 * One that cannot follow says why, and tries again.
 */
import type { KeptRevision } from '../config/fleet/kept.js';
import { AnyhopError } from '../core/errors.js';
import { FLEET_MESSAGE_CHARS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { agentsBehind } from './agents-have.js';
import type { Follower } from './follower.js';
import { type Missed, missedBy } from './missed.js';
import type { Own } from './own.js';
import { BadRecord, digestOfText } from './record.js';
import type { Records } from './records.js';
import { findRevision, type Known, withText } from './revisions.js';
import type { Active, Intent, MemberRole, SaidByMember } from './said.js';
import { requireSame } from './same-tables.js';
import { isStoreFault, type Store } from './store.js';

/** How often it looks whether a change that waits still would. */
const WAITS_MS = 1_000;
const NOTHING: Active = { number: 0, record: '' };

export interface StepsOptions {
  readonly role: MemberRole;
  /** `forwarder/edge-1` */
  readonly place: string;
  readonly store: Store;
  readonly own: Own;
  readonly records: Records;
  /** Of the process as it is now. */
  readonly follower: () => Follower;
  readonly keep: (revision: KeptRevision) => Promise<void>;
  /** Resolves when the store was told what has changed here, or does not answer. */
  readonly tell: () => Promise<void>;
  /** Steps are to be taken again, soon. */
  readonly again: (ms?: number) => void;
  readonly log: Logger;
}

export interface Fault {
  readonly number: number;
  readonly why: string;
}

export interface Ready extends Known {
  readonly waits: readonly string[];
}

export class Steps {
  readonly #options: StepsOptions;
  #prepared: Ready | undefined;
  #refused: SaidByMember['refused'];
  #stuck: Fault | undefined;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /** What it can switch to. */
  get prepared(): Ready | undefined {
    return this.#prepared;
  }

  get refused(): SaidByMember['refused'] {
    return this.#refused;
  }

  /** The revision that this member could not follow. */
  get stuck(): Fault | undefined {
    return this.#stuck;
  }

  /** Another follower has nothing ready. */
  restart(): void {
    this.#prepared = undefined;
  }

  /**
   * @param active in force in the fleet
   * @param intent about to be
   * @throws AnyhopError ERR_STORE
   */
  async step(active = NOTHING, intent?: Intent): Promise<void> {
    const { own, tell, again } = this.#options;
    try {
      if (active.number <= own.standing.number) this.#stuck = undefined;
      else if (!this.#hasOtherHope(active.number)) await this.#follow(active);
      await this.#look(active.number, intent);
      if (active.number > own.standing.number) again();
    } finally {
      await tell();
    }
  }

  /** Whether it could not follow a revision, and has the next one ready, which may be the way out. */
  #hasOtherHope(active: number): boolean {
    return this.#stuck?.number === active && this.#prepared !== undefined && this.#prepared.number > active;
  }

  /** Something is in force in the fleet that is not in force here. */
  async #follow({ number, record, at }: Active): Promise<void> {
    const { role, place, store, own, records, follower } = this.#options;
    try {
      const isPrepared = this.#prepared?.digest === record && this.#prepared.number === number;
      const known = isPrepared
        ? this.#prepared!
        : await findRevision(store, number, (each) => records.open(each));
      if (known.revision.without.includes(place))
        throw new BadRecord(`${known.revision.by} left this member out of it`);
      if (!isPrepared) await this.#prepare(known);
      const missed = role === 'forwarder' ? await this.#missed(known, at) : [];
      if (role === 'forwarder') this.#tellOfAgents(number, await agentsBehind(store, known.revision));
      await follower().activate(known.revision, known);
      if (missed.length > 0) await this.#recall(missed);
      await this.#tookOver(known);
    } catch (error) {
      if (isStoreFault(error)) throw error;
      const reason = this.#refuse(number, record, error);
      const here = own.standing.number === 0 ? 'none' : `${own.standing.number}`;
      this.#stuck = {
        number,
        why: `revision ${number} is in force in the fleet, and ${here} here: ${reason}`,
      };
    }
  }

  /** What went by between what is in force here and what is to be. */
  async #missed({ revision }: Known, headAt = revision.at): Promise<Missed[]> {
    const { store, own, records } = this.#options;
    return missedBy({
      store,
      head: revision,
      headAt,
      own: own.standing,
      open: (record) => records.open(record),
      passedOver: (number, why) => this.#passOver(number, why),
    });
  }

  async #recall(missed: readonly Missed[]): Promise<void> {
    try {
      await this.#options.follower().recall?.(missed);
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      this.#passOver(missed[0]!.number, error.message);
    }
  }

  #passOver(number: number, why: string): void {
    this.#options.log.warn(
      { event: 'fleet_missed_unread', revision: number, why },
      `revision ${number}, which was in force while this node had another one, is not remembered here: ${why}; connections that began then may break`,
    );
  }

  /** It is in force here, and then kept before anybody hears of it: a process that is killed does not go back. */
  async #tookOver(known: Known): Promise<void> {
    const { own, keep, tell, log } = this.#options;
    const { number, record, text, revision } = known;
    try {
      await keep({ number, text, record });
    } catch (error) {
      const why = reasonOf(error);
      log.warn(
        { event: 'state_not_kept', why },
        `revision ${number} will not survive a restart without the store: ${why}`,
      );
    }
    own.takes(known);
    this.#prepared = undefined;
    this.#refused = undefined;
    this.#stuck = undefined;
    await tell();
    const { by, message } = revision;
    log.info(
      { event: 'fleet_active', revision: number, by, message },
      `revision ${number} is in force, by ${by}${message === '' ? '' : `: ${message}`}`,
    );
  }

  #tellOfAgents(number: number, agents: readonly string[]): void {
    if (agents.length === 0) return;
    this.#options.log.warn(
      { event: 'fleet_agents_late', agents, revision: number },
      `${agents.join(', ')} did not switch to revision ${number} in time; this node does not wait any longer`,
    );
  }

  /** What is to come, if anything. */
  async #look(active: number, intent: Intent | undefined): Promise<void> {
    if (intent === undefined) {
      this.#release();
      if (this.#refused?.number !== this.#stuck?.number) this.#refused = undefined;
      return;
    }
    const { place, store, own, records } = this.#options;
    const digest = digestOfText(intent.record);
    if (this.#refused?.record === digest) return;
    if (this.#prepared?.digest === digest && this.#prepared.waits.length === 0) return;
    let number = 0;
    try {
      const revision = await records.open(intent.record);
      number = revision.number;
      if (number <= active || revision.without.includes(place)) return;
      if (number <= own.standing.number)
        throw new BadRecord(`its number is used: revision ${own.standing.number} is in force here`);
      await this.#prepare(await withText(store, intent.record, revision));
    } catch (error) {
      if (isStoreFault(error)) throw error;
      this.#release();
      this.#refuse(number, digest, error);
    }
  }

  #release(): void {
    if (this.#prepared !== undefined) this.#options.follower().release();
    this.#prepared = undefined;
  }

  async #prepare(known: Known): Promise<void> {
    const { follower, again } = this.#options;
    const { revision } = known;
    const { digest, waits } = await follower().prepare(revision, known);
    requireSame(revision, digest);
    this.#prepared = { ...known, waits };
    this.#refused = undefined;
    // What it waits for may be over by and by.
    if (waits.length > 0) again(WAITS_MS);
  }

  /** @returns why, in words */
  #refuse(number: number, record: string, error: unknown): string {
    // Whatever it is, what was in force stays: a revision that upsets this build must not end every process of the fleet.
    const isExpected = error instanceof BadRecord || error instanceof AnyhopError;
    const reason = (isExpected ? error.message : reasonOf(error)).slice(0, FLEET_MESSAGE_CHARS_MAX);
    if (this.#refused?.record !== record || this.#refused.reason !== reason)
      this.#options.log.error(
        { event: 'fleet_refused', revision: number, reason, ...(!isExpected && { err: error }) },
        `revision ${number} is not taken: ${reason}`,
      );
    this.#refused = { number, record, reason };
    return reason;
  }
}
