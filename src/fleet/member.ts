/**
 * A member of a fleet: it makes ready what is to come, says so, and switches when the fleet does.
 *
 *   now/intent --> prepare --> nodes/ROLE/NAME: prepared, or refused and why
 *   now/active --> (agents first) --> activate --> kept on disk --> nodes/ROLE/NAME: active
 *
 * Nothing here is on the packet path, and a store that is away changes nothing: the revision in force stays, also through a restart.
 * What the store says is taken only with the operator's signature, and only forward (record.ts).
 */

import { type KeptRevision, keepRevision } from '../config/fleet/kept.js';
import type { FleetConfig } from '../config/fleet/types.js';
import type { RevisionText } from '../config/load.js';
import { deferred } from '../core/deferred.js';
import { AnyhopError } from '../core/errors.js';
import { FLEET_MESSAGE_CHARS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { VERSION } from '../core/version.js';
import { textOf } from './blob.js';
import { ACTIVE, INTENT, MEMBERS, NODES, NOW, revisionPlace } from './places.js';
import { BadRecord, digestOfText, opened, type Revision } from './record.js';
import {
  type Active,
  type MemberRole,
  readActive,
  readIntent,
  readMember,
  type SaidByMember,
} from './said.js';
import type { Snapshot, Store } from './store.js';
import { Teller } from './teller.js';

/** By role: how long its word outlives it, and how often it reads without being told. 1,000 agents cost 42 requests a second. */
const PACE = {
  forwarder: { leaseSeconds: 5, readMs: 30_000 },
  agent: { leaseSeconds: 60, readMs: 60_000 },
} as const;
/** How long forwarders wait until all agents have switched. */
const AGENTS_MS = 10_000;
const RETRY_MS = 5_000;
/** How often it looks whether a change that waits still would. */
const WAITS_MS = 1_000;

/** What a process does with revisions. */
export interface Follower {
  /**
   * Makes all ready that can be made ready beside what is in force.
   * @returns the digest of what it makes of it (digest.ts), and what it would wait for
   * @throws AnyhopError when it cannot take it
   */
  prepare(revision: Revision, text: RevisionText): Promise<Prepared>;
  /** What was prepared is not to come. */
  release(): void;
  /** @throws AnyhopError when it cannot; what was in force stays */
  activate(revision: Revision, text: RevisionText): Promise<void>;
  standing(): Pick<SaidByMember, 'ready' | 'reason' | 'owners'>;
}

export interface Prepared {
  readonly digest: string;
  readonly waits: readonly string[];
}

export interface MemberOptions {
  readonly fleet: FleetConfig;
  readonly role: MemberRole;
  readonly name: string;
  /** The host's own config file, and the directory for what is kept. */
  readonly file: string;
  readonly directory: string;
  readonly kept: KeptRevision | undefined;
  readonly store: Store;
  /** While the process has no config yet. */
  readonly prepare: Follower['prepare'];
  /** Whether a revision has anything for this host; a process without anything to do waits for one that has. */
  readonly concerns: (text: RevisionText) => boolean;
  readonly log: Logger;
}

/** As in the status of a node (api/status.ts). */
export interface MemberStatus {
  readonly name: string;
  readonly revision: number;
  readonly revisionOfFleet: number | null;
  readonly prepared?: number;
  readonly behind?: string;
  readonly store: {
    readonly answeredAt: string | null;
    readonly fault?: { readonly since: string; readonly why: string };
  };
}

interface Known extends RevisionText {
  readonly revision: Revision;
  readonly record: string;
  /** Of the record. */
  readonly digest: string;
}

const DIGEST_CHARS_SHOWN = 12;
const NOTHING: Active = { number: 0, record: '' };

export class FleetMember {
  readonly #options: MemberOptions;
  readonly #log: Logger;
  readonly #place: string;
  readonly #teller: Teller;
  readonly #steps = new Rerun(() => this.#step());
  readonly #first = deferred<RevisionText>();
  readonly #serves = deferred<void>();
  readonly #since = new Date();
  #again: NodeJS.Timeout | undefined;
  #now: Snapshot | undefined;
  #follower: Follower;
  #active: number;
  #prepared: (Known & { readonly waits: readonly string[] }) | undefined;
  #refused: SaidByMember['refused'];
  /** The revision that this member could not follow, and why it is not to serve because of that. */
  #behind: { readonly number: number; readonly why: string } | undefined;
  /** The revision that this process began with, when its tables are others here than those that were signed. */
  #differs: { readonly number: number; readonly why: string } | undefined;
  #isBegun = false;
  #isClosed = false;

  constructor(options: MemberOptions) {
    const { role, name, kept, store, log, prepare } = options;
    this.#options = options;
    this.#log = log;
    this.#place = `${role}/${name}`;
    this.#active = kept?.number ?? 0;
    this.#follower = {
      prepare,
      release: () => undefined,
      activate: async (_, text) => {
        if (this.#isBegun) throw new AnyhopError('ERR_FLEET', 'the process is starting');
        if (!this.#concerns(text)) return;
        this.#first.resolve(text);
        await this.#serves.promise; // until then it is not in force
      },
      standing: () => ({ ready: false, reason: 'it starts' }),
    };
    const { leaseSeconds, readMs } = PACE[role];
    this.#teller = new Teller({ store, place: this.#place, leaseSeconds, say: () => this.#said(), log });
    store.follow(
      NOW,
      readMs,
      (snapshot) => {
        this.#now = snapshot;
        this.#teller.seen(snapshot);
        void this.#steps.ask();
      },
      this.#teller.places,
    );
  }

  /** Why the node is not to be sent traffic, as far as the fleet goes; undefined when it may. */
  get behind(): string | undefined {
    if (this.#behind !== undefined) return this.#behind.why;
    return this.#differs?.number === this.#active ? this.#differs.why : undefined;
  }

  /** What it knows of the fleet, for people. */
  get status(): MemberStatus {
    const { fleet, store } = this.#options;
    const { answeredAt, fault } = store;
    const active = this.#now && (readActive(this.#now.entries.get(ACTIVE)?.value)?.number ?? 0);
    return {
      name: fleet.name,
      revision: this.#active,
      revisionOfFleet: active ?? null,
      ...(this.#prepared && { prepared: this.#prepared.number }),
      ...(this.#behind && { behind: this.#behind.why }),
      store: {
        answeredAt: answeredAt?.toISOString() ?? null,
        ...(fault && { fault: { since: fault.since.toISOString(), why: fault.why } }),
      },
    };
  }

  /**
   * Resolves to what the process starts with: what is in force in the fleet, or, when the store does not answer in time, what was last
   * in force here. Without either it waits.
   */
  async first(waitMs: number): Promise<RevisionText> {
    const first = await this.#chosen(waitMs);
    if (first.number === this.#options.kept?.number) await this.#compare(this.#options.kept);
    this.#isBegun = true;
    return first;
  }

  async #chosen(waitMs: number): Promise<RevisionText> {
    const { kept, fleet } = this.#options;
    if (kept !== undefined && this.#concerns(kept)) {
      const { number, text } = kept;
      const asked = this.#options.store.read(NOW).catch(() => undefined);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), waitMs);
      });
      const now = await Promise.race([asked, late]);
      clearTimeout(timer);
      const active = readActive(now?.entries.get(ACTIVE)?.value)?.number ?? 0;
      if (active <= number) return { number, text };
      const settled = new Promise<RevisionText>((resolve) => {
        timer = setTimeout(() => resolve({ number, text }), waitMs);
      });
      const first = await Promise.race([this.#first.promise, settled]);
      clearTimeout(timer);
      return first;
    }
    this.#log.warn(
      { event: 'fleet_waits', fleet: fleet.name },
      `nothing to do yet: waiting for a revision of the fleet ${fleet.name} that has something for this host ("anyhop fleet apply")`,
    );
    return await this.#first.promise;
  }

  /** After an upgrade of one host alone, say. A config that cannot be read is for the process to refuse. */
  async #compare(kept: KeptRevision): Promise<void> {
    const { fleet, prepare } = this.#options;
    try {
      const revision = opened(kept.record, fleet.name, fleet.operatorKey);
      requireSame(revision, (await prepare(revision, kept)).digest);
    } catch (error) {
      if (!(error instanceof OtherTables)) return;
      const why = `revision ${kept.number} is in force: ${error.message}`;
      this.#differs = { number: kept.number, why };
      this.#log.error({ event: 'fleet_differs', revision: kept.number, why }, why);
    }
  }

  #concerns(text: RevisionText): boolean {
    const concerns = this.#options.concerns(text);
    if (!concerns)
      this.#log.info(
        { event: 'fleet_idle', revision: text.number },
        `revision ${text.number} has nothing for this host: waiting for one that has`,
      );
    return concerns;
  }

  /** The process runs: from now on it follows. */
  serve(follower: Follower): void {
    this.#follower = follower;
    this.#prepared = undefined;
    this.#serves.resolve();
    void this.#steps.ask();
  }

  /** Its word goes away at once; it stays listed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#again);
    await this.#teller.close();
    this.#options.store.close();
  }

  async #step(): Promise<void> {
    const now = this.#now;
    if (now === undefined || this.#isClosed) return;
    try {
      const active = readActive(now.entries.get(ACTIVE)?.value) ?? NOTHING;
      const { number } = active;
      if (number < this.#active)
        this.#options.store.forgot(`its revision is ${number}, and ${this.#active} is in force here`);
      if (number <= this.#active) this.#behind = undefined;
      else if (!this.#hasOtherHope(number)) await this.#follow(active);
      await this.#look(now, number);
      if (number > this.#active) this.#stepAgain();
    } catch (error) {
      if (!isStoreFault(error)) throw error;
      this.#stepAgain();
    } finally {
      await this.#teller.tell();
    }
  }

  #stepAgain(ms = RETRY_MS): void {
    clearTimeout(this.#again);
    if (!this.#isClosed) this.#again = setTimeout(() => void this.#steps.ask(), ms).unref();
  }

  /** Whether it could not follow a revision, and has the next one ready, which may be the way out. */
  #hasOtherHope(active: number): boolean {
    return this.#behind?.number === active && this.#prepared !== undefined && this.#prepared.number > active;
  }

  /** Something is in force in the fleet that is not in force here. */
  async #follow({ number, record }: Active): Promise<void> {
    const { role } = this.#options;
    try {
      const isPrepared = this.#prepared?.digest === record && this.#prepared.number === number;
      const known = isPrepared ? this.#prepared! : await this.#find(number);
      if (known.revision.without.includes(this.#place))
        throw new BadRecord(`${known.revision.by} left this member out of it`);
      if (!isPrepared) await this.#prepare(known);
      if (role === 'forwarder') await this.#agentsHave(known.revision);
      await this.#follower.activate(known.revision, known);
      this.#active = number;
      this.#prepared = undefined;
      this.#refused = undefined;
      this.#behind = undefined;
      await this.#teller.tell();
      await this.#keep(known);
      const { by, message } = known.revision;
      this.#log.info(
        { event: 'fleet_active', revision: number, by, message },
        `revision ${number} is in force, by ${by}${message === '' ? '' : `: ${message}`}`,
      );
    } catch (error) {
      if (isStoreFault(error)) throw error;
      const reason = this.#refuse(number, record, error);
      const here = this.#active === 0 ? 'none' : `${this.#active}`;
      this.#behind = {
        number,
        why: `revision ${number} is in force in the fleet, and ${here} here: ${reason}`,
      };
    }
  }

  /** What is to come, if anything. */
  async #look(now: Snapshot, active: number): Promise<void> {
    const intent = readIntent(now.entries.get(INTENT)?.value);
    if (intent === undefined) {
      if (this.#prepared !== undefined) this.#follower.release();
      this.#prepared = undefined;
      if (this.#refused?.number !== this.#behind?.number) this.#refused = undefined;
      return;
    }
    const { fleet, store } = this.#options;
    const digest = digestOfText(intent.record);
    let number = 0;
    try {
      const revision = opened(intent.record, fleet.name, fleet.operatorKey);
      number = revision.number;
      if (number <= active || revision.without.includes(this.#place)) return;
      if (number <= this.#active)
        throw new BadRecord(`its number is used: revision ${this.#active} is in force here`);
      if (this.#refused?.record === digest) return;
      if (this.#prepared?.digest === digest && this.#prepared.waits.length === 0) return;
      const text = await textOf(store, revision);
      await this.#prepare({ number, text, revision, record: intent.record, digest });
    } catch (error) {
      if (isStoreFault(error)) throw error;
      if (this.#prepared !== undefined) this.#follower.release();
      this.#prepared = undefined;
      this.#refuse(number, digest, error);
    }
  }

  async #prepare(known: Known): Promise<void> {
    const { revision } = known;
    const { digest, waits } = await this.#follower.prepare(revision, known);
    requireSame(revision, digest);
    this.#prepared = { ...known, waits };
    this.#refused = undefined;
    // What it waits for may be over by and by.
    if (waits.length > 0) this.#stepAgain(WAITS_MS);
  }

  /** @throws BadRecord */
  async #find(number: number): Promise<Known> {
    const { fleet, store } = this.#options;
    const record = (await store.get(revisionPlace(number)))?.value;
    if (record === undefined) throw new BadRecord('its record is not in the store');
    const revision = opened(record, fleet.name, fleet.operatorKey);
    if (revision.number !== number)
      throw new BadRecord(`the record in its place is of revision ${revision.number}`);
    const text = await textOf(store, revision);
    return { number, revision, record, text, digest: digestOfText(record) };
  }

  /** Resolves when all agents that are there have a revision, or when that takes too long. */
  async #agentsHave({ number, without }: Revision): Promise<void> {
    const { store } = this.#options;
    const listed = [...(await store.read(`${MEMBERS}agent/`)).entries.keys()]
      .map((place) => place.slice(MEMBERS.length))
      .filter((place) => !without.includes(place));
    if (listed.length === 0) return;
    let missing: string[] = listed;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => end(), AGENTS_MS);
      const stop = store.follow(`${NODES}agent/`, AGENTS_MS, ({ entries }) => {
        missing = listed.filter((place) => {
          const said = readMember(entries.get(NODES + place)?.value);
          return said !== undefined && said.active < number && said.refused?.number !== number;
        });
        if (missing.length === 0) end();
      });
      function end(): void {
        clearTimeout(timer);
        stop();
        resolve();
      }
    });
    if (missing.length > 0)
      this.#log.warn(
        { event: 'fleet_agents_late', agents: missing, revision: number },
        `${missing.join(', ')} did not switch to revision ${number} in time; this node does not wait any longer`,
      );
  }

  async #keep({ number, text, record }: Known): Promise<void> {
    const { file, directory } = this.#options;
    try {
      await keepRevision(file, { number, text, record }, directory);
    } catch (error) {
      const why = reasonOf(error);
      this.#log.warn(
        { event: 'state_not_kept', directory, why },
        `revision ${number} will not survive a restart without the store: ${why}`,
      );
    }
  }

  /** @returns why, in words */
  #refuse(number: number, record: string, error: unknown): string {
    // Whatever it is, what was in force stays: a revision that upsets this build must not end every process of the fleet.
    const isExpected = error instanceof BadRecord || error instanceof AnyhopError;
    const reason = (isExpected ? error.message : reasonOf(error)).slice(0, FLEET_MESSAGE_CHARS_MAX);
    if (this.#refused?.record !== record || this.#refused.reason !== reason)
      this.#log.error(
        { event: 'fleet_refused', revision: number, reason, ...(!isExpected && { err: error }) },
        `revision ${number} is not taken: ${reason}`,
      );
    this.#refused = { number, record, reason };
    return reason;
  }

  #said(): SaidByMember {
    return {
      build: VERSION,
      since: this.#since.toISOString(),
      active: this.#active,
      ...(this.#prepared && {
        prepared: {
          number: this.#prepared.number,
          record: this.#prepared.digest,
          waits: [...this.#prepared.waits],
        },
      }),
      ...(this.#refused && { refused: this.#refused }),
      ...this.#follower.standing(),
    };
  }
}

class OtherTables extends BadRecord {}

/** @param digest of what this host makes of it @throws OtherTables */
function requireSame(revision: Revision, digest: string): void {
  if (digest === revision.digest) return;
  const [here, signed] = [digest, revision.digest].map((each) => each.slice(0, DIGEST_CHARS_SHOWN));
  throw new OtherTables(
    `its tables are others here (digest ${here}, not ${signed}): anyhop ${VERSION} here is another build than the operator's`,
  );
}

function isStoreFault(error: unknown): boolean {
  return error instanceof AnyhopError && error.code === 'ERR_STORE';
}
