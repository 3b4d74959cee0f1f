/**
 * A member of a fleet: it makes ready what is to come, says so, and switches when the fleet does.
 *
 *   the store, other forwarders --> hearing.ts --> steps.ts: prepares, switches --> own.ts: in force here
 *                                       |              |                               |
 *                                    head.ts        teller.ts: nodes/ROLE/NAME  <------/
 *
 * Nothing here is on the packet path, and a store that is away changes nothing: the revision in force stays, also through a restart.
 * What the store says is taken only with a signature that counts (records.ts), and only forward. One that is not at the head of the fleet is
 * not to serve (head.ts).
 */

import type { KeptRevision } from '../config/fleet/kept.js';
import type { FleetConfig } from '../config/fleet/types.js';
import type { RevisionText } from '../config/load.js';
import type { Logger } from '../core/log.js';
import { Rerun } from '../core/rerun.js';
import { VERSION } from '../core/version.js';
import type { RecentStates } from '../discover/recent.js';
import type { Follower } from './follower.js';
import { Head } from './head.js';
import { FORWARDERS, Hearing } from './hearing.js';
import { Own } from './own.js';
import { NOW } from './places.js';
import { Records } from './records.js';
import type { MemberRole, SaidByMember } from './said.js';
import { otherTables } from './same-tables.js';
import { type AskedSibling, Siblings } from './siblings.js';
import { Start } from './start.js';
import { type Fault, Steps } from './steps.js';
import { isStoreFault, type Store } from './store.js';
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
const RETRY_MS = 5_000;

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

export class FleetMember {
  readonly #options: MemberOptions;
  readonly #log: Logger;
  readonly #teller: Teller;
  readonly #start: Start;
  readonly #own: Own;
  readonly #head: Head;
  readonly #hearing: Hearing;
  readonly #steps: Steps;
  readonly #siblings: Siblings;
  readonly #stepping = new Rerun(() =>
    this.#tried(() => this.#steps.step(this.#hearing.active, this.#hearing.intent)),
  );
  /** Beside the steps, which may take long. */
  readonly #listening = new Rerun(() => this.#tried(() => this.#hearing.hear()));
  readonly #since = new Date();
  #again: NodeJS.Timeout | undefined;
  #follower: Follower;
  /** The revision that this process began with, when its tables are others here than those that were signed. */
  #differs: Fault | undefined;
  #isClosed = false;

  constructor(options: MemberOptions) {
    const { role, name, kept, fleet, keep, store, log } = options;
    const place = `${role}/${name}`;
    this.#options = options;
    this.#log = log;
    this.#start = new Start({ ...options, fleet: fleet.name });
    this.#follower = this.#start.follower;
    const own = new Own(kept, fleet);
    const head = new Head(fleet);
    const records = new Records({ store, signer: fleet, inForce: () => own.judges });
    const { leaseSeconds, readMs } = PACE[role];
    this.#teller = new Teller({ store, place, leaseSeconds, say: () => this.#said(), log });
    this.#steps = new Steps({
      role,
      place,
      store,
      own,
      records,
      follower: () => this.#follower,
      keep,
      tell: () => this.#teller.tell(),
      again: (ms) => this.#stepAgain(ms),
      log,
    });
    const prepared = () => this.#steps.prepared;
    this.#hearing = new Hearing({ fleet: fleet.name, store, own, head, records, prepared });
    this.#siblings = new Siblings({
      of: options.siblings,
      inForce: () => own.inForce,
      isStoreAway: () => store.fault !== undefined || store.answeredAt === undefined,
      heard: (record, sibling) => void head.hear(record, `on ${sibling}`),
    });
    this.#own = own;
    this.#head = head;
    this.#follow(readMs, role === 'forwarder' ? [FORWARDERS] : []);
  }

  #follow(readMs: number, others: readonly string[]): void {
    this.#options.store.follow(
      NOW,
      readMs,
      (snapshot) => {
        this.#hearing.saw(snapshot);
        this.#teller.seen(snapshot);
        this.#hearing.hearOthers(snapshot);
        this.#ask();
      },
      [...this.#teller.places, ...others],
    );
  }

  /** Why the node is not to be sent traffic, as far as the fleet goes; undefined when it may. */
  get behind(): string | undefined {
    return (
      this.#behind ?? (this.#differs?.number === this.#own.standing.number ? this.#differs.why : undefined)
    );
  }

  /** Why it is not at the head of the fleet, when it should be. */
  get #behind(): string | undefined {
    const { stuck } = this.#steps;
    if (stuck !== undefined && this.#head.isAbove(this.#own.standing)) return stuck.why;
    return this.#head.behind(this.#own.standing);
  }

  /** What is in force here; undefined for nothing. */
  get inForce(): KeptRevision | undefined {
    return this.#own.inForce;
  }

  /** The backends that pools with a source had within the settle time. */
  get recent(): RecentStates {
    return this.#own.recent;
  }

  /** What it knows of the fleet, for people. */
  get status(): MemberStatus {
    const { fleet, store } = this.#options;
    const { answeredAt, fault } = store;
    const { prepared, stuck } = this.#steps;
    const behind = this.#behind ?? stuck?.why;
    return {
      name: fleet.name,
      revision: this.#own.standing.number,
      revisionOfFleet: this.#hearing.hasHeard ? (this.#hearing.active?.number ?? 0) : null,
      ...(prepared && { prepared: prepared.number }),
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
      this.#hearing.saw(await this.#options.store.read(NOW));
      await this.#listening.ask();
    };
    await Promise.race([asked().catch(() => undefined), late]);
    clearTimeout(timer);
    await this.#siblings.look();
    return (this.#hearing.active?.number ?? 0) > this.#own.standing.number;
  }

  /** The process runs: from now on it follows. */
  serve(follower: Follower): void {
    this.#follower = follower;
    this.#steps.restart();
    this.#start.serves();
    void this.#stepping.ask();
  }

  /** Its word goes away at once; it stays listed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#again);
    this.#siblings.close();
    await this.#teller.close();
    this.#options.store.close();
  }

  #ask(): void {
    void this.#listening.ask();
    void this.#stepping.ask();
  }

  /** What a store that does not answer has interrupted is tried again. */
  async #tried(task: () => Promise<void>): Promise<void> {
    if (!this.#hearing.hasHeard || this.#isClosed) return;
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

  #said(): SaidByMember {
    const { standing, inForce } = this.#own;
    const { prepared, refused } = this.#steps;
    return {
      build: VERSION,
      since: this.#since.toISOString(),
      active: standing.number,
      ...(this.#hearing.isForgotten && inForce !== undefined && { record: inForce.record }),
      ...(prepared && {
        prepared: { number: prepared.number, record: prepared.digest, waits: [...prepared.waits] },
      }),
      ...(refused && { refused }),
      ...this.#follower.standing(),
    };
  }
}
