/**
 * A member of a fleet: it makes ready what is to come, says so, and switches when the fleet does.
 *
 *   now/intent --> prepare --> nodes/ROLE/NAME: prepared, or refused and why
 *   now/active --> (forwarders last) --> activate --> kept on disk --> nodes/ROLE/NAME: active
 *
 * Nothing here is on the packet path, and a store that is away changes nothing: the revision in force stays, also through a restart.
 * What the store says is taken only with a signature that counts (records.ts), and only forward. One that is not at the head of the fleet is
 * not to serve (head.ts).
 */

import { mentionsDiscovery } from '../config/edit/found.js';
import type { KeptRevision } from '../config/fleet/kept.js';
import type { FleetConfig } from '../config/fleet/types.js';
import type { RevisionText } from '../config/load.js';
import { AnyhopError } from '../core/errors.js';
import { FLEET_MESSAGE_CHARS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { VERSION } from '../core/version.js';
import { RecentStates } from '../discover/recent.js';
import { agentsBehind } from './agents-have.js';
import type { Follower } from './follower.js';
import { Head, knownStanding, NOTHING_IN_FORCE, type Standing, signedStanding, standingOf } from './head.js';
import { ACTIVE, INTENT, NODES, NOW, revisionPlace } from './places.js';
import { BadRecord, digestOfText, peeked, signerOf } from './record.js';
import { type InForce, poolsIn, Records } from './records.js';
import { findRevision, type Known, type Signer, withText } from './revisions.js';
import {
  type Active,
  type MemberRole,
  readActive,
  readIntent,
  readMember,
  type SaidByMember,
} from './said.js';
import { otherTables, requireSame } from './same-tables.js';
import { type AskedSibling, Siblings } from './siblings.js';
import { Start } from './start.js';
import type { Snapshot, Store } from './store.js';
import { Teller } from './teller.js';

/**
 * By role: how long its word outlives it, and how often it reads without being told. 1,000 agents cost 42 requests a second. Forwarders
 * read more often: when a watch has missed something, two of them differ until then.
 */
const PACE = {
  forwarder: { leaseSeconds: 5, readMs: 10_000 },
  agent: { leaseSeconds: 60, readMs: 60_000 },
  l7: { leaseSeconds: 15, readMs: 30_000 },
} as const;
const FORWARDERS = `${NODES}forwarder/`;
const RETRY_MS = 5_000;
/** How often it looks whether a change that waits still would. */
const WAITS_MS = 1_000;
const NOTHING: Active = { number: 0, record: '' };

export interface MemberOptions {
  readonly fleet: FleetConfig;
  readonly role: MemberRole;
  readonly name: string;
  readonly kept: KeptRevision | undefined;
  /** Keeps it for a start without the store. @throws when it cannot */
  readonly keep: (revision: KeptRevision) => Promise<void>;
  readonly store: Store;
  /** While the process has no config yet. */
  readonly prepare: Follower['prepare'];
  /** Whether a revision has anything for this host. */
  readonly concerns: (text: RevisionText) => boolean;
  /** Who is asked while the store is away. @throws AnyhopError */
  readonly siblings: (text: RevisionText) => readonly AskedSibling[];
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

interface Fault {
  readonly number: number;
  readonly why: string;
}

export class FleetMember {
  readonly #options: MemberOptions;
  readonly #log: Logger;
  readonly #place: string;
  readonly #teller: Teller;
  readonly #start: Start;
  readonly #head: Head;
  readonly #siblings: Siblings;
  readonly #steps = new Rerun(() => this.#tried(() => this.#step()));
  /** Beside the steps, which may take long. */
  readonly #hearings = new Rerun(() => this.#tried(() => this.#hear()));
  readonly #since = new Date();
  #again: NodeJS.Timeout | undefined;
  #now: Snapshot | undefined;
  #follower: Follower;
  #own: Standing;
  #inForce: KeptRevision | undefined;
  readonly #records: Records;
  readonly #recent = new RecentStates();
  /** When it was last at the head, as far as the store said. */
  #atHeadMs = Number.NEGATIVE_INFINITY;
  /** The store has an earlier revision: others learn of this one from this member. */
  #isForgotten = false;
  #prepared: (Known & { readonly waits: readonly string[] }) | undefined;
  #refused: SaidByMember['refused'];
  /** The revision that this member could not follow. */
  #stuck: Fault | undefined;
  /** The revision that this process began with, when its tables are others here than those that were signed. */
  #differs: Fault | undefined;
  #isClosed = false;

  constructor(options: MemberOptions) {
    const { role, name, kept, fleet, store, log } = options;
    this.#options = options;
    this.#log = log;
    this.#place = `${role}/${name}`;
    this.#start = new Start({ ...options, fleet: fleet.name });
    this.#follower = this.#start.follower;
    this.#head = new Head(fleet);
    this.#records = new Records({ store, signer: fleet, inForce: () => this.#judgedBy() });
    this.#inForce = kept;
    this.#own = kept === undefined ? NOTHING_IN_FORCE : ownOf(kept, fleet);
    if (kept !== undefined) this.#saw(kept);
    const { leaseSeconds, readMs } = PACE[role];
    this.#teller = new Teller({ store, place: this.#place, leaseSeconds, say: () => this.#said(), log });
    this.#siblings = new Siblings({
      of: options.siblings,
      inForce: () => this.#inForce,
      isStoreAway: () => store.fault !== undefined || store.answeredAt === undefined,
      heard: (record, sibling) => void this.#head.hear(record, `on ${sibling}`),
    });
    const others = role === 'forwarder' ? [FORWARDERS] : [];
    store.follow(
      NOW,
      readMs,
      (snapshot) => {
        this.#now = snapshot;
        this.#teller.seen(snapshot);
        this.#hearOthers(snapshot);
        this.#ask();
      },
      [...this.#teller.places, ...others],
    );
  }

  /** Why the node is not to be sent traffic, as far as the fleet goes; undefined when it may. */
  get behind(): string | undefined {
    return this.#behind ?? (this.#differs?.number === this.#own.number ? this.#differs.why : undefined);
  }

  /** Why it is not at the head of the fleet, when it should be. */
  get #behind(): string | undefined {
    if (this.#stuck !== undefined && this.#head.isAbove(this.#own)) return this.#stuck.why;
    return this.#head.behind(this.#own);
  }

  /** What is in force here; undefined for nothing. */
  get inForce(): KeptRevision | undefined {
    return this.#inForce;
  }

  /** The backends that pools with a source had within the settle time. */
  get recent(): RecentStates {
    return this.#recent;
  }

  /** What it knows of the fleet, for people. */
  get status(): MemberStatus {
    const { fleet, store } = this.#options;
    const { answeredAt, fault } = store;
    const active = this.#now && (readActive(this.#now.entries.get(ACTIVE)?.value)?.number ?? 0);
    const behind = this.#behind ?? this.#stuck?.why;
    return {
      name: fleet.name,
      revision: this.#own.number,
      revisionOfFleet: active ?? null,
      ...(this.#prepared && { prepared: this.#prepared.number }),
      ...(behind !== undefined && { behind }),
      store: {
        answeredAt: answeredAt?.toISOString() ?? null,
        ...(fault && { fault: { since: fault.since.toISOString(), why: fault.why } }),
      },
    };
  }

  /** Resolves to what the process starts with (start.ts). @param waitMs for the store, and again for what it tells */
  async first(waitMs: number): Promise<RevisionText> {
    const { kept, fleet, prepare } = this.#options;
    const first = await this.#start.first(kept, () => this.#isBehind(waitMs), waitMs);
    if (kept !== undefined && first.number === kept.number) {
      const why = await otherTables(kept, fleet, prepare);
      if (why !== undefined) {
        this.#differs = { number: kept.number, why };
        this.#log.error({ event: 'fleet_differs', revision: kept.number, why }, why);
      }
    }
    return first;
  }

  async #isBehind(waitMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    const asked = async (): Promise<void> => {
      this.#now = await this.#options.store.read(NOW);
      await this.#hearings.ask();
    };
    await Promise.race([asked().catch(() => undefined), late]);
    clearTimeout(timer);
    await this.#siblings.look();
    return (this.#activeInStore()?.number ?? 0) > this.#own.number;
  }

  /** The process runs: from now on it follows. */
  serve(follower: Follower): void {
    this.#follower = follower;
    this.#prepared = undefined;
    this.#start.serves();
    void this.#steps.ask();
  }

  /** Its word goes away at once; it stays listed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#again);
    this.#siblings.close();
    await this.#teller.close();
    this.#options.store.close();
  }

  #activeInStore(): Active | undefined {
    return readActive(this.#now?.entries.get(ACTIVE)?.value);
  }

  #ask(): void {
    void this.#hearings.ask();
    void this.#steps.ask();
  }

  /** What a store that does not answer has interrupted is tried again. */
  async #tried(task: () => Promise<void>): Promise<void> {
    if (this.#now === undefined || this.#isClosed) return;
    try {
      await task();
    } catch (error) {
      if (!isStoreFault(error)) throw error;
      this.#stepAgain();
      void this.#siblings.look();
    }
  }

  #stepAgain(ms = RETRY_MS): void {
    clearTimeout(this.#again);
    if (!this.#isClosed) this.#again = setTimeout(() => this.#ask(), ms).unref();
  }

  /** What the fleet has in force, by the store. */
  async #hear(): Promise<void> {
    const { store, fleet } = this.#options;
    const { number, record: digest } = this.#activeInStore() ?? NOTHING;
    let inStore: Standing | undefined;
    if (digest === this.#own.digest) {
      inStore = this.#own;
      this.#atHeadMs = performance.now();
    } else if (digest === this.#prepared?.digest) {
      inStore = standingOf(this.#prepared.revision, digest);
      this.#head.hearPrepared(inStore);
    } else if (number > 0) {
      const record = (await store.get(revisionPlace(number)))?.value;
      if (record !== undefined) inStore = await this.#heard(record);
    }
    this.#isForgotten = (inStore?.atMs ?? 0) < this.#own.atMs;
    if (this.#isForgotten)
      store.forgot(`its revision is ${number}, and ${this.#own.number} of ${fleet.name} is in force here`);
  }

  /** What is in force in the fleet; of a node, only what this member would take makes it wait for that. */
  async #heard(record: string): Promise<Standing | undefined> {
    const where = 'in the fleet';
    if (signerOf(record) === undefined) return this.#head.hear(record, where);
    try {
      const standing = knownStanding(record);
      await this.#records.open(record);
      this.#head.hearFound(standing, where);
      return standing;
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error;
      return this.#own;
    }
  }

  /** By what a record of a node is judged. */
  #judgedBy(): InForce | undefined {
    const inForce = this.#inForce;
    if (inForce === undefined) return undefined;
    const { number, base } = peeked(inForce.record);
    const awayMs = performance.now() - this.#atHeadMs;
    return { text: inForce.text, base: base?.number ?? number, recent: this.#recent, awayMs };
  }

  #saw({ text }: RevisionText): void {
    if (mentionsDiscovery(text)) this.#recent.saw(poolsIn(text));
  }

  /** What others have in force, and the store has forgotten. */
  #hearOthers({ entries }: Snapshot): void {
    for (const [place, { value }] of entries) {
      if (!place.startsWith(FORWARDERS)) continue;
      const { record } = readMember(value) ?? {};
      if (record !== undefined) this.#head.hear(record, `on ${place.slice(NODES.length)}`);
    }
  }

  async #step(): Promise<void> {
    try {
      const active = this.#activeInStore() ?? NOTHING;
      if (active.number <= this.#own.number) this.#stuck = undefined;
      else if (!this.#hasOtherHope(active.number)) await this.#follow(active);
      await this.#look(active.number);
      if (active.number > this.#own.number) this.#stepAgain();
    } finally {
      await this.#teller.tell();
    }
  }

  /** Whether it could not follow a revision, and has the next one ready, which may be the way out. */
  #hasOtherHope(active: number): boolean {
    return this.#stuck?.number === active && this.#prepared !== undefined && this.#prepared.number > active;
  }

  /** Something is in force in the fleet that is not in force here. */
  async #follow({ number, record }: Active): Promise<void> {
    const { role, store } = this.#options;
    try {
      const isPrepared = this.#prepared?.digest === record && this.#prepared.number === number;
      const known = isPrepared
        ? this.#prepared!
        : await findRevision(store, number, (each) => this.#records.open(each));
      if (known.revision.without.includes(this.#place))
        throw new BadRecord(`${known.revision.by} left this member out of it`);
      if (!isPrepared) await this.#prepare(known);
      if (role === 'forwarder') this.#tellOfAgents(number, await agentsBehind(store, known.revision));
      await this.#follower.activate(known.revision, known);
      await this.#tookOver(known);
    } catch (error) {
      if (isStoreFault(error)) throw error;
      const reason = this.#refuse(number, record, error);
      const here = this.#own.number === 0 ? 'none' : `${this.#own.number}`;
      this.#stuck = {
        number,
        why: `revision ${number} is in force in the fleet, and ${here} here: ${reason}`,
      };
    }
  }

  /** It is in force here, and then kept before anybody hears of it: a process that is killed does not go back. */
  async #tookOver(known: Known): Promise<void> {
    const { number, digest, record, text, revision } = known;
    try {
      await this.#options.keep({ number, text, record });
    } catch (error) {
      const why = reasonOf(error);
      this.#log.warn(
        { event: 'state_not_kept', why },
        `revision ${number} will not survive a restart without the store: ${why}`,
      );
    }
    this.#own = standingOf(revision, digest);
    this.#inForce = { number, text, record };
    this.#saw(known);
    this.#prepared = undefined;
    this.#refused = undefined;
    this.#stuck = undefined;
    await this.#teller.tell();
    const { by, message } = revision;
    this.#log.info(
      { event: 'fleet_active', revision: number, by, message },
      `revision ${number} is in force, by ${by}${message === '' ? '' : `: ${message}`}`,
    );
  }

  #tellOfAgents(number: number, agents: readonly string[]): void {
    if (agents.length === 0) return;
    this.#log.warn(
      { event: 'fleet_agents_late', agents, revision: number },
      `${agents.join(', ')} did not switch to revision ${number} in time; this node does not wait any longer`,
    );
  }

  /** What is to come, if anything. */
  async #look(active: number): Promise<void> {
    const intent = readIntent(this.#now?.entries.get(INTENT)?.value);
    if (intent === undefined) {
      if (this.#prepared !== undefined) this.#follower.release();
      this.#prepared = undefined;
      if (this.#refused?.number !== this.#stuck?.number) this.#refused = undefined;
      return;
    }
    const { store } = this.#options;
    const digest = digestOfText(intent.record);
    if (this.#refused?.record === digest) return;
    if (this.#prepared?.digest === digest && this.#prepared.waits.length === 0) return;
    let number = 0;
    try {
      const revision = await this.#records.open(intent.record);
      number = revision.number;
      if (number <= active || revision.without.includes(this.#place)) return;
      if (number <= this.#own.number)
        throw new BadRecord(`its number is used: revision ${this.#own.number} is in force here`);
      await this.#prepare(await withText(store, intent.record, revision));
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
    const { number } = this.#own;
    return {
      build: VERSION,
      since: this.#since.toISOString(),
      active: number,
      ...(this.#isForgotten && this.#inForce !== undefined && { record: this.#inForce.record }),
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

/** Of what is kept on this host. */
function ownOf({ number, record }: KeptRevision, signer: Signer): Standing {
  const none = { ...NOTHING_IN_FORCE, number };
  try {
    if (signerOf(record) !== undefined) return knownStanding(record); // it was judged when it came
  } catch (error) {
    if (error instanceof BadRecord) return none;
    throw error;
  }
  // What another key has signed is earlier than whatever this one has.
  return signedStanding(record, signer) ?? none;
}

function isStoreFault(error: unknown): boolean {
  return error instanceof AnyhopError && error.code === 'ERR_STORE';
}
