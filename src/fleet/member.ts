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
import { BadRecord, opened, type Revision } from './record.js';
import { type MemberRole, readActive, readIntent, readMember, type SaidByMember } from './said.js';
import type { FleetStore, Snapshot, StoreLease } from './store.js';

/** By role: how long its word outlives it, and how often it reads without being told. 1,000 agents cost 50 requests a second. */
const PACE = {
  forwarder: { leaseSeconds: 5, readMs: 30_000 },
  agent: { leaseSeconds: 60, readMs: 60_000 },
} as const;
/** How long forwarders wait until all agents have switched. */
const AGENTS_MS = 10_000;
const LOOK_MS = 500;
const RETRY_MS = 5_000;

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
  readonly store: FleetStore;
  /** While the process has no config yet. */
  readonly prepare: Follower['prepare'];
  /** Whether a revision has anything for this host; a process without anything to do waits for one that has. */
  readonly concerns: (text: RevisionText) => boolean;
  readonly log: Logger;
}

interface Known extends RevisionText {
  readonly revision: Revision;
  readonly record: string;
}

export class FleetMember {
  readonly #options: MemberOptions;
  readonly #log: Logger;
  readonly #place: string;
  readonly #lease: StoreLease;
  readonly #steps = new Rerun(() => this.#step());
  readonly #first = deferred<RevisionText>();
  readonly #serves = deferred<void>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #since = new Date();
  #now: Snapshot | undefined;
  #follower: Follower;
  #active: number;
  #prepared:
    | { readonly number: number; readonly waits: readonly string[]; readonly known: Known }
    | undefined;
  #refused: { readonly number: number; readonly reason: string } | undefined;
  /** Why this member is not to serve, as far as the fleet goes. */
  #behind: string | undefined;
  #told = '';
  #isBegun = false;
  #isListed = false;

  constructor(options: MemberOptions) {
    const { role, name, kept, store, log, prepare } = options;
    this.#options = options;
    this.#log = log;
    this.#place = `${role}/${name}`;
    this.#active = kept?.number ?? 0;
    this.#lease = store.lease(PACE[role].leaseSeconds);
    this.#lease.lost = () => {
      this.#told = '';
      void this.#tell();
    };
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
    store.follow(NOW, PACE[role].readMs, (snapshot) => {
      this.#now = snapshot;
      void this.#steps.ask();
    });
    this.#timers.push(setInterval(() => void this.#tell(), LOOK_MS).unref());
  }

  /** The revision that was in force here when the process began. */
  get active(): number {
    return this.#active;
  }

  /** Why the node is not to be sent traffic, as far as the fleet goes; undefined when it may. */
  get behind(): string | undefined {
    return this.#behind;
  }

  /**
   * Resolves to what the process starts with: what is in force in the fleet, or, when the store does not answer in time, what was last
   * in force here. Without either it waits.
   */
  async first(waitMs: number): Promise<RevisionText> {
    const first = await this.#chosen(waitMs);
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
    for (const timer of this.#timers) clearInterval(timer);
    await this.#lease.revoke();
    this.#options.store.close();
  }

  async #step(): Promise<void> {
    const now = this.#now;
    if (now === undefined) return;
    try {
      const active = readActive(now.entries.get(ACTIVE)?.value)?.number ?? 0;
      if (active > this.#active) await this.#follow(active);
      else {
        this.#behind = undefined;
        await this.#look(now);
      }
    } catch (error) {
      if (error instanceof AnyhopError && error.code === 'ERR_STORE') return; // the next read asks again
      throw error;
    } finally {
      await this.#tell();
    }
  }

  /** Something is in force in the fleet that is not in force here. */
  async #follow(number: number): Promise<void> {
    const { role } = this.#options;
    try {
      const known = this.#prepared?.number === number ? this.#prepared.known : await this.#find(number);
      if (known.revision.without.includes(this.#place))
        throw new BadRecord(`${known.revision.by} left this member out of it`);
      if (this.#prepared?.number !== number) await this.#prepare(known);
      if (role === 'forwarder') await this.#agentsHave(known.revision);
      await this.#follower.activate(known.revision, known);
      this.#active = number;
      this.#prepared = undefined;
      this.#refused = undefined;
      this.#behind = undefined;
      await this.#tell();
      await this.#keep(known);
      const { by, message } = known.revision;
      this.#log.info(
        { event: 'fleet_active', revision: number, by, message },
        `revision ${number} is in force, by ${by}${message === '' ? '' : `: ${message}`}`,
      );
    } catch (error) {
      if (error instanceof AnyhopError && error.code === 'ERR_STORE') throw error;
      this.#refuse(number, error);
      const here = this.#active === 0 ? 'none' : `${this.#active}`;
      this.#behind = `revision ${number} is in force in the fleet, and ${here} here: ${this.#refused?.reason}`;
      this.#timers.push(setTimeout(() => void this.#steps.ask(), RETRY_MS).unref());
    }
  }

  /** What is to come, if anything. */
  async #look(now: Snapshot): Promise<void> {
    const intent = readIntent(now.entries.get(INTENT)?.value);
    if (intent === undefined) {
      if (this.#prepared !== undefined) this.#follower.release();
      this.#prepared = undefined;
      this.#refused = undefined;
      return;
    }
    const { fleet } = this.#options;
    let number = 0;
    try {
      const revision = opened(intent.record, fleet.name, fleet.operatorKey);
      number = revision.number;
      if (number <= this.#active || revision.without.includes(this.#place)) return;
      if (this.#refused?.number === number) return;
      if (this.#prepared?.number === number && this.#prepared.waits.length === 0) return;
      const text = await textOf(this.#options.store, revision);
      await this.#prepare({ number, text, revision, record: intent.record });
    } catch (error) {
      if (error instanceof AnyhopError && error.code === 'ERR_STORE') throw error;
      this.#refuse(number, error);
    }
  }

  async #prepare(known: Known): Promise<void> {
    const { revision, number } = known;
    const { digest, waits } = await this.#follower.prepare(revision, known);
    if (digest !== revision.digest)
      throw new BadRecord(
        `its tables would be others here (digest ${digest.slice(0, 12)}, not ${revision.digest.slice(0, 12)}): anyhop ${VERSION} here is another build than the operator's`,
      );
    this.#prepared = { number, waits, known };
    this.#refused = undefined;
    // What it waits for may be over by and by.
    if (waits.length > 0) this.#timers.push(setTimeout(() => void this.#steps.ask(), RETRY_MS / 5).unref());
  }

  /** @throws BadRecord */
  async #find(number: number): Promise<Known> {
    const { fleet, store } = this.#options;
    const record = (await store.get(revisionPlace(number)))?.value;
    if (record === undefined) throw new BadRecord('its record is not in the store');
    const revision = opened(record, fleet.name, fleet.operatorKey);
    if (revision.number !== number)
      throw new BadRecord(`the record in its place is of revision ${revision.number}`);
    return { number, revision, record, text: await textOf(store, revision) };
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

  #refuse(number: number, error: unknown): void {
    if (!(error instanceof BadRecord) && !(error instanceof AnyhopError)) throw error;
    const reason = error.message.slice(0, FLEET_MESSAGE_CHARS_MAX);
    if (this.#refused?.number !== number || this.#refused.reason !== reason)
      this.#log.error(
        { event: 'fleet_refused', revision: number, reason },
        `revision ${number} is not taken: ${reason}`,
      );
    this.#refused = { number, reason };
  }

  /** Writes what has changed of what it says of itself. */
  async #tell(): Promise<void> {
    const said: SaidByMember = {
      build: VERSION,
      since: this.#since.toISOString(),
      active: this.#active,
      ...(this.#prepared && {
        prepared: { number: this.#prepared.number, waits: [...this.#prepared.waits] },
      }),
      ...(this.#refused && { refused: this.#refused }),
      ...this.#follower.standing(),
    };
    const text = JSON.stringify(said);
    if (text === this.#told) return;
    const before = this.#told;
    this.#told = text; // another call in between has nothing to write
    const { store } = this.#options;
    const place = MEMBERS + this.#place;
    try {
      if (!this.#isListed) {
        await store.write([[place, undefined]], [{ place, value: '{}' }]);
        this.#isListed = true;
      }
      await store.write([], [{ place: NODES + this.#place, value: text, lease: this.#lease }]);
    } catch {
      if (this.#told === text) this.#told = before; // written when the store is back
    }
  }
}
