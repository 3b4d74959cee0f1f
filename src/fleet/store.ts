/**
 * The store of a fleet: etcd, by gRPC. It is trusted for nothing but to be asked: what is in it is signed (record.ts) or read with
 * bounds (said.ts), and everything goes on without it.
 *
 * A watch alone is not enough: after a restore from a snapshot it reconnects and silently misses what was written. So each event, and every
 * so often the clock, asks for the whole of a small part, linearizable, and what is read is what counts.
 */
import {
  EtcdLeaseInvalidError,
  type ICompare,
  type IKeyValue,
  type IRangeRequest,
  type IRequestOp,
  Range,
} from 'etcd3';
import type { FleetConfig } from '../config/fleet/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { Rerun } from '../core/rerun.js';
import { StoreClient } from './client.js';
import { type Lease, StoreLease } from './lease.js';
import { rootOf } from './places.js';
import { faultInWords } from './store-fault.js';

/** From once to three times as long, by chance: thousands of members do not come all at once when the store is back. */
const RETRY_MS = 1_000;
/** What is noticed in several ways within this time is said once. */
const SAID_MS = 60_000;
const ENTRIES_MAX = 30_000;

export interface Entry {
  readonly value: string;
  /** Changes with every write of it; but a store that was restored from a snapshot gives the same ones again. */
  readonly version: string;
}

/** Parts of the store at one moment, by the places of their entries. */
export interface Snapshot {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Counts all writes; it goes back only when the store was restored from a snapshot. */
  readonly revision: bigint;
}

export interface Write {
  readonly place: string;
  /** Undefined: it is removed. */
  readonly value: string | undefined;
  readonly lease?: Lease;
}

/** What must still be there, as it was read, for writes to be done; undefined: nothing. */
export type Condition = readonly [place: string, entry: Entry | undefined];

export interface StoreFault {
  readonly since: Date;
  readonly why: string;
}

/** What members and commands use of a store. */
export type Store = Pick<
  FleetStore,
  'fault' | 'answeredAt' | 'read' | 'newest' | 'get' | 'follow' | 'write' | 'forgot' | 'close'
> & {
  lease(ttlSeconds: number): Lease;
};

export class FleetStore {
  readonly #client: StoreClient;
  readonly #root: string;
  readonly #log: Logger;
  #revision = 0n;
  #answeredAt: Date | undefined;
  #forgotSaidMs = Number.NEGATIVE_INFINITY;
  /** Reading may be possible, and writing not. */
  readonly #faults = new Map<'read' | 'write', StoreFault>();
  readonly #closers = new Set<() => void>();
  #isClosed = false;

  /** @param client asks the servers that the config names */
  constructor(fleet: FleetConfig, log: Logger, client = new StoreClient(fleet)) {
    this.#root = rootOf(fleet.name);
    this.#log = log;
    this.#client = client;
  }

  /** Why the store does not answer; undefined while it does. */
  get fault(): StoreFault | undefined {
    const [fault] = this.#faults.values();
    return fault;
  }

  /** When it has answered a question last; undefined before it has. */
  get answeredAt(): Date | undefined {
    return this.#answeredAt;
  }

  /**
   * One moment of all below the places that end with a slash, and of the single entries that the others name.
   * @throws AnyhopError ERR_STORE
   */
  read(...places: readonly string[]): Promise<Snapshot> {
    return this.#ranges(places.map((place) => this.#range(place)));
  }

  /** The last ones below a place, by name. @throws AnyhopError ERR_STORE */
  newest(place: string, limit: number): Promise<Snapshot> {
    return this.#ranges([{ ...this.#range(place), limit, sort_order: 'Descend', sort_target: 'Key' }]);
  }

  /** @throws AnyhopError ERR_STORE */
  async get(place: string): Promise<Entry | undefined> {
    return (await this.read(place)).entries.get(place);
  }

  /**
   * Reads a part again whenever something in it changes, and every so often.
   * @param also read with it, but not watched
   * @returns ends it
   */
  follow(
    place: string,
    everyMs: number,
    seen: (snapshot: Snapshot) => void,
    also: readonly string[] = [],
  ): () => void {
    let isClosed = false;
    let endWatch = (): void => undefined;
    let retry: NodeJS.Timeout | undefined;
    let again: NodeJS.Timeout | undefined;
    const reads = new Rerun(async () => {
      if (isClosed) return;
      clearTimeout(retry);
      try {
        const snapshot = await this.read(place, ...also);
        if (!isClosed) seen(snapshot);
      } catch (error) {
        if (!(error instanceof AnyhopError)) throw error;
        if (!isClosed) retry = setTimeout(ask, retryMs());
      }
    });
    const ask = (): void => void reads.ask();
    const watch = (): void => {
      const { key, range_end: end } = this.#range(place);
      endWatch = this.#client.watch(key!, end!, ask, () => {
        if (isClosed) return;
        ask();
        again = setTimeout(watch, retryMs());
      });
    };
    watch();
    ask();
    const timer = setInterval(ask, everyMs);
    const close = (): void => {
      isClosed = true;
      clearInterval(timer);
      clearTimeout(retry);
      clearTimeout(again);
      this.#closers.delete(close);
      endWatch();
    };
    this.#closers.add(close);
    return close;
  }

  /**
   * Writes all, or nothing when a condition does not hold any more. When a server fails on the way, the next one is asked too, and may
   * find what the first has written: so an answer of false may mean that it was written.
   * @returns whether it was written
   * @throws AnyhopError ERR_STORE
   */
  write(conditions: readonly Condition[], writes: readonly Write[]): Promise<boolean> {
    return this.#ask('write', async () => {
      try {
        return await this.#write(conditions, writes);
      } catch (error) {
        if (!(error instanceof EtcdLeaseInvalidError)) throw error;
        for (const { lease } of writes) lease?.forget();
        return await this.#write(conditions, writes);
      }
    });
  }

  /** Says that the store has lost writes, unless that was just said. */
  forgot(what: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#forgotSaidMs < SAID_MS) return;
    this.#forgotSaidMs = nowMs;
    this.#log.error(
      { event: 'fleet_store_went_back', what },
      `the store of the fleet has forgotten writes, as after a restore from an older snapshot: ${what}; what this host has in force stays`,
    );
  }

  /** Ends everything that was begun here. */
  close(): void {
    this.#isClosed = true;
    for (const close of [...this.#closers]) close();
    this.#client.close();
  }

  /** A lease that goes on until it is closed, also over a time without the store. */
  lease(ttlSeconds: number): Lease {
    const lease = new StoreLease(this.#client, ttlSeconds);
    this.#closers.add(() => lease.release());
    return lease;
  }

  async #write(conditions: readonly Condition[], writes: readonly Write[]): Promise<boolean> {
    const leases = await Promise.all(writes.map(({ lease }) => lease?.id()));
    const success = writes.map(({ place, value }, i): IRequestOp => {
      const key = Buffer.from(this.#root + place);
      if (value === undefined) return { request_delete_range: { key } };
      const lease = leases[i];
      return { request_put: { key, value: Buffer.from(value), ...(lease !== undefined && { lease }) } };
    });
    const compare = conditions.flatMap(([place, entry]): ICompare[] => {
      const key = Buffer.from(this.#root + place);
      if (entry === undefined) return [{ key, target: 'Create', result: 'Equal', create_revision: 0 }];
      return [
        { key, target: 'Mod', result: 'Equal', mod_revision: entry.version },
        { key, target: 'Value', result: 'Equal', value: Buffer.from(entry.value) },
      ];
    });
    const { succeeded } = await this.#client.call(({ kv }, deadline) =>
      kv.txn({ compare, success }, { deadline }),
    );
    return succeeded;
  }

  #range(place: string): IRangeRequest {
    const key = Buffer.from(this.#root + place);
    return place.endsWith('/') ? { key, range_end: Range.prefix(key).end } : { key };
  }

  #ranges(ranges: readonly IRangeRequest[]): Promise<Snapshot> {
    return this.#ask('read', async () => {
      const known = this.#revision;
      const { header, responses } = await this.#client.call(({ kv }, deadline) =>
        kv.txn(
          { success: ranges.map((range) => ({ request_range: { limit: ENTRIES_MAX, ...range } })) },
          { deadline },
        ),
      );
      const revision = BigInt(header.revision);
      // Answers may overtake each other: only what was known before the question cannot be unknown to the answer.
      if (revision < known && revision < this.#revision) {
        this.forgot(`it is at ${revision}, and was at ${known}`);
        this.#revision = revision;
      } else if (revision > this.#revision) this.#revision = revision;
      const kvs = responses.flatMap(({ response_range: { kvs } }) => kvs);
      return { entries: new Map(kvs.map((kv) => this.#entry(kv))), revision };
    });
  }

  #entry({ key, value, mod_revision: version }: IKeyValue): [string, Entry] {
    return [key.toString().slice(this.#root.length), { value: value.toString(), version }];
  }

  async #ask<T>(kind: 'read' | 'write', question: () => Promise<T>): Promise<T> {
    try {
      const answer = await question();
      this.#answeredAt = new Date();
      if (this.#faults.delete(kind) && this.#faults.size === 0)
        this.#log.info({ event: 'fleet_store_back' }, 'the store of the fleet answers again');
      return answer;
    } catch (error) {
      const { event, what, why, hint } = faultInWords(error, kind, this.#client.certificate);
      if (this.#faults.size === 0 && !this.#isClosed)
        this.#log.warn(
          { event, why },
          `the store of the fleet ${what}: ${why}; everything goes on by the revision in force`,
        );
      if (!this.#faults.has(kind)) this.#faults.set(kind, { since: new Date(), why });
      throw new AnyhopError('ERR_STORE', `the store of the fleet ${what}: ${why}`, {
        hint,
        exitCode: 1,
      });
    }
  }
}

/** What may be tried again when the store answers. */
export function isStoreFault(error: unknown): boolean {
  return error instanceof AnyhopError && error.code === 'ERR_STORE';
}

function retryMs(): number {
  return RETRY_MS * (1 + 2 * Math.random());
}
