/**
 * The store of a fleet: etcd, by gRPC. It is trusted for nothing but to be asked: what is in it is signed (record.ts) or read with
 * bounds (said.ts), and everything goes on without it.
 *
 * A watch alone is not enough: after a restore from a snapshot it reconnects and silently misses what was written. So each event, and every
 * so often the clock, asks for the whole of a small part, linearizable, and what is read is what counts.
 */
import { Etcd3, type IKeyValue, type Lease, type Watcher } from 'etcd3';
import type { FleetConfig } from '../config/fleet/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { rootOf } from './places.js';

/** How long the store may take to answer. */
const ANSWER_MS = 3_000;
/** Of gRPC: how often a silent connection is tried, and how long it may be silent then. */
const [KEEPALIVE_MS, KEEPALIVE_ANSWER_MS] = [3_000, 2_000];
const RETRY_MS = 1_000;
const ENTRIES_MAX = 30_000;

export interface Entry {
  readonly value: string;
  /** Changes with every write of it. */
  readonly version: string;
}

/** A part of the store at one moment, by the places of its entries. */
export interface Snapshot {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Counts all writes; it goes back only when the store was restored from a snapshot. */
  readonly revision: bigint;
}

export interface Write {
  readonly place: string;
  /** Undefined: it is removed. */
  readonly value: string | undefined;
  readonly lease?: StoreLease;
}

/** What must still hold for writes to be done; undefined: it is not there. */
export type Condition = readonly [place: string, version: string | undefined];

export class FleetStore {
  readonly #client: Etcd3;
  readonly #root: string;
  readonly #log: Logger;
  #revision = 0n;
  /** Since when the store does not answer, and why; undefined while it does. */
  #fault: { readonly since: Date; readonly why: string } | undefined;
  readonly #closers = new Set<() => void>();

  constructor({ name, endpoints, authorities, certificate }: FleetConfig, log: Logger) {
    this.#root = rootOf(name);
    this.#log = log;
    const own = certificate && Buffer.from(certificate.reveal());
    this.#client = new Etcd3({
      hosts: [...endpoints],
      ...(endpoints[0]?.startsWith('https:') && {
        credentials: {
          rootCertificate: authorities && Buffer.from(authorities.reveal()),
          ...(own && { privateKey: own, certChain: own }),
        } as { rootCertificate: Buffer },
      }),
      dialTimeout: ANSWER_MS,
      grpcOptions: {
        'grpc.keepalive_time_ms': KEEPALIVE_MS,
        'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
        'grpc.max_reconnect_backoff_ms': RETRY_MS,
      },
      defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + ANSWER_MS }),
    });
  }

  /** Why the store does not answer; undefined while it does. */
  get fault(): { readonly since: Date; readonly why: string } | undefined {
    return this.#fault;
  }

  /** All below a place, or one entry. @throws AnyhopError ERR_STORE */
  async read(prefix: string): Promise<Snapshot> {
    return await this.#ask(async () => {
      const { kvs, header } = await this.#client
        .getAll()
        .prefix(this.#root + prefix)
        .limit(ENTRIES_MAX)
        .exec();
      const revision = BigInt(header.revision);
      if (revision < this.#revision) {
        this.#log.error(
          { event: 'fleet_store_went_back', from: String(this.#revision), to: header.revision },
          'the store of the fleet has forgotten writes: it was restored from an older snapshot; what this host has in force stays',
        );
      }
      this.#revision = revision;
      return { entries: new Map(kvs.map((kv) => this.#entry(kv))), revision };
    });
  }

  /** @throws AnyhopError ERR_STORE */
  async get(place: string): Promise<Entry | undefined> {
    return (await this.read(place)).entries.get(place);
  }

  /**
   * Reads a part again whenever something in it changes, and every so often.
   * @returns ends it
   */
  follow(prefix: string, everyMs: number, seen: (snapshot: Snapshot) => void): () => void {
    let isClosed = false;
    let watcher: Watcher | undefined;
    let retry: NodeJS.Timeout | undefined;
    const reads = new Rerun(async () => {
      if (isClosed) return;
      try {
        const snapshot = await this.read(prefix);
        if (!isClosed) seen(snapshot);
      } catch {
        clearTimeout(retry); // the fault is known by now
        if (!isClosed) retry = setTimeout(ask, RETRY_MS);
      }
    });
    const ask = (): void => void reads.ask();
    const watch = async (): Promise<void> => {
      try {
        watcher = await this.#client
          .watch()
          .prefix(this.#root + prefix)
          .create();
        watcher.on('data', ask).on('connected', ask).on('error', ask);
        if (isClosed) await watcher.cancel();
        else ask();
      } catch {
        if (!isClosed) setTimeout(() => void watch(), RETRY_MS).unref();
      }
    };
    void watch();
    ask();
    const timer = setInterval(ask, everyMs);
    const close = (): void => {
      isClosed = true;
      clearInterval(timer);
      clearTimeout(retry);
      this.#closers.delete(close);
      void watcher?.cancel().catch(() => undefined);
    };
    this.#closers.add(close);
    return close;
  }

  /** Writes all, or nothing when a condition does not hold any more. @returns whether it was written @throws AnyhopError ERR_STORE */
  async write(conditions: readonly Condition[], writes: readonly Write[]): Promise<boolean> {
    return await this.#ask(async () => {
      const leases = await Promise.all(writes.map(async ({ lease }) => lease && (await lease.id())));
      const operations = writes.map(({ place, value }, i) => {
        const key = this.#root + place;
        if (value === undefined) return this.#client.delete().key(key);
        const put = this.#client.put(key).value(value);
        return leases[i] === undefined ? put : put.lease(leases[i]);
      });
      const [first, ...others] = conditions.map(
        ([place, version]) =>
          [this.#root + place, version === undefined ? 'Create' : 'Mod', '==', version ?? 0] as const,
      );
      // A key that is there or not: always true.
      const builder = this.#client.if(...(first ?? ([this.#root, 'Version', '>', -1] as const)));
      for (const condition of others) builder.and(...condition);
      return (await builder.then(...operations).commit()).succeeded;
    });
  }

  /** Ends everything that was begun here. */
  close(): void {
    for (const close of this.#closers) close();
    this.#client.close();
  }

  /** A lease that goes on until it is closed, also over a time without the store. */
  lease(ttlSeconds: number): StoreLease {
    const lease = new StoreLease(ttlSeconds, (seconds) =>
      this.#client.lease(seconds, { autoKeepAlive: false }),
    );
    this.#closers.add(() => lease.release());
    return lease;
  }

  #entry({ key, value, mod_revision: version }: IKeyValue): [string, Entry] {
    return [key.toString().slice(this.#root.length), { value: value.toString(), version }];
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      const answer = await question();
      if (this.#fault !== undefined) {
        this.#fault = undefined;
        this.#log.info({ event: 'fleet_store_back' }, 'the store of the fleet answers again');
      }
      return answer;
    } catch (error) {
      const why = reasonOf(error);
      if (this.#fault === undefined) {
        this.#fault = { since: new Date(), why };
        this.#log.warn(
          { event: 'fleet_store_away', why },
          `the store of the fleet does not answer: ${why}; everything goes on by the revision in force`,
        );
      }
      throw new AnyhopError('ERR_STORE', `the store of the fleet: ${why}`, {
        hint: 'fleet.endpoints names its servers; `etcdctl endpoint status` asks them.',
        exitCode: 1,
      });
    }
  }
}

/** Entries that go away when whoever wrote them does. */
export class StoreLease {
  readonly #grant: (seconds: number) => Lease;
  readonly #seconds: number;
  #lease: Lease | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Called when the lease was lost: what was written with it is gone. */
  lost: () => void = () => undefined;

  constructor(ttlSeconds: number, grant: (seconds: number) => Lease) {
    this.#seconds = ttlSeconds;
    this.#grant = grant;
  }

  /** Of a lease that lives. */
  async id(): Promise<string> {
    if (this.#lease === undefined || this.#lease.revoked()) {
      this.#lease = this.#grant(this.#seconds);
      this.#lease.on('lost', () => undefined); // without it, the library would throw
      this.#arm();
    }
    try {
      return await this.#lease.grant();
    } catch (error) {
      this.#lease = undefined;
      throw error;
    }
  }

  /** What was written with it goes away at once. */
  async revoke(): Promise<void> {
    clearInterval(this.#timer);
    await this.#lease?.revoke().catch(() => undefined); // the store is away: it ends by itself
    this.#lease = undefined;
  }

  release(): void {
    clearInterval(this.#timer);
    this.#lease?.release();
  }

  /** Half of its time may be lost without a loss. */
  #arm(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      const lease = this.#lease;
      if (lease === undefined) return;
      lease.keepaliveOnce({ deadline: Date.now() + ANSWER_MS }).catch(() => {
        if (!lease.revoked()) return; // the store is away
        this.#lease = undefined;
        this.lost();
      });
    }, this.#seconds * 500);
    this.#timer.unref();
  }
}
