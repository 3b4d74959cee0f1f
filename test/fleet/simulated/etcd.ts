/**
 * A store under a simulated clock, as far as anyhop asks etcd: transactions, leases, watches; and the way to it, on which messages are late or
 * lost. One server stands for a cluster: its answers are linearizable.
 */
import { EventEmitter } from 'node:events';
import {
  type Etcd3,
  EtcdLeaseInvalidError,
  GRPCDeadlineExceededError,
  GRPCUnavailableError,
  type ITxnRequest,
} from 'etcd3';
import { ANSWER_MS } from '#anyhop/fleet/client.js';
import { rootOf } from '#anyhop/fleet/places.js';
import type { SimulatedClock } from './clock.js';

/** Of TCP. */
const AGAIN_MS = 1_000;
const ROOT = rootOf('edge');

interface Entry {
  readonly value: Buffer;
  readonly created: number;
  readonly changed: number;
  readonly lease: string | undefined;
}

interface Lease {
  readonly seconds: number;
  endsMs: number;
}

type State = { readonly entries: Map<string, Entry>; readonly leases: Map<string, Lease>; revision: number };

export class SimulatedEtcd {
  readonly clock: SimulatedClock;
  isUp = true;
  /** When that changed last. */
  changedMs = 0;
  /** Is told of each value. */
  written: (place: string, value: string) => void = () => undefined;
  #state: State = { entries: new Map(), leases: new Map(), revision: 1 };
  #lastLease = 0;
  #snapshot: State | undefined;
  readonly watches = new Set<{ readonly isBelow: (key: string) => boolean; readonly tell: () => void }>();

  constructor(clock: SimulatedClock) {
    this.clock = clock;
  }

  get(place: string): string | undefined {
    this.#expire();
    return this.#state.entries.get(ROOT + place)?.value.toString();
  }

  /** Ends every lease that something below a place was written with. */
  forgetLeases(place: string): void {
    for (const [key, { lease }] of this.#state.entries)
      if (lease !== undefined && key.endsWith(place)) this.revoke(lease);
  }

  save(): void {
    this.#snapshot = copyOf(this.#state);
  }

  /** What was written since is lost; watches know nothing of it. Leases live as long again. */
  restore(): boolean {
    if (this.#snapshot === undefined) return false;
    this.#state = copyOf(this.#snapshot);
    this.start();
    return true;
  }

  txn({ compare = [], success = [] }: ITxnRequest) {
    this.#expire();
    const state = this.#state;
    const holds = compare.every(({ key, target, create_revision, mod_revision }) => {
      const entry = state.entries.get(textOf(key));
      return target === 'Create'
        ? (entry?.created ?? 0) === Number(create_revision)
        : (entry?.changed ?? 0) === Number(mod_revision);
    });
    if (!holds) return { header: { revision: `${state.revision}` }, succeeded: false, responses: [] };
    for (const { request_put: put } of success)
      if (put?.lease && !state.leases.has(`${put.lease}`)) throw new EtcdLeaseInvalidError(`${put.lease}`);
    const changed: string[] = [];
    const revision = state.revision + 1;
    const responses = success.map(
      ({ request_put: put, request_delete_range: gone, request_range: range }) => {
        if (put !== undefined) {
          const key = textOf(put.key);
          const created = state.entries.get(key)?.created ?? revision;
          const value = Buffer.from(put.value as Buffer);
          state.entries.set(key, {
            value,
            created,
            changed: revision,
            lease: put.lease === undefined ? undefined : `${put.lease}`,
          });
          changed.push(key);
          this.written(key.slice(ROOT.length), value.toString());
        } else if (gone !== undefined) {
          if (state.entries.delete(textOf(gone.key))) changed.push(textOf(gone.key));
        }
        return { response_range: { kvs: range === undefined ? [] : this.#range(range) } };
      },
    );
    if (changed.length > 0) {
      state.revision = revision;
      this.#tell(changed);
    }
    return { header: { revision: `${state.revision}` }, succeeded: true, responses };
  }

  #range({
    key,
    range_end: end,
    limit,
    sort_order: order,
  }: NonNullable<NonNullable<ITxnRequest['success']>[0]['request_range']>) {
    const isIn = below(key, end);
    const found = [...this.#state.entries].filter(([each]) => isIn(each));
    found.sort(([a], [b]) => (a < b ? -1 : 1));
    if (order === 'Descend') found.reverse();
    return found
      .slice(0, Number(limit) || found.length)
      .map(([each, { value, changed }]) => ({ key: Buffer.from(each), value, mod_revision: `${changed}` }));
  }

  grant(seconds: number): string {
    const id = `${++this.#lastLease}`;
    this.#state.leases.set(id, { seconds, endsMs: 0 });
    this.#extend(id);
    return id;
  }

  keepAlive(id: string): string {
    this.#expire();
    return this.#extend(id);
  }

  #extend(id: string): string {
    const lease = this.#state.leases.get(id);
    if (lease === undefined) return '0';
    lease.endsMs = this.clock.nowMs + 1_000 * lease.seconds;
    this.clock.after(1_000 * lease.seconds, () => this.#expire());
    return `${lease.seconds}`;
  }

  revoke(id: string): void {
    const { entries, leases } = this.#state;
    if (!leases.delete(id)) return;
    const gone = [...entries].flatMap(([key, { lease }]) => (lease === id ? [key] : []));
    for (const key of gone) entries.delete(key);
    if (gone.length === 0) return;
    this.#state.revision++;
    this.#tell(gone);
  }

  stop(): void {
    this.isUp = false;
    this.changedMs = this.clock.nowMs;
  }

  /** As etcd does, it gives every lease its whole time when it begins again. */
  start(): void {
    if (!this.isUp) this.changedMs = this.clock.nowMs;
    this.isUp = true;
    for (const id of this.#state.leases.keys()) this.#extend(id);
  }

  #expire(): void {
    if (!this.isUp) return;
    for (const [id, { endsMs }] of this.#state.leases) if (endsMs <= this.clock.nowMs) this.revoke(id);
  }

  #tell(keys: readonly string[]): void {
    for (const { isBelow, tell } of this.watches) if (keys.some(isBelow)) tell();
  }
}

/** The way of one process to the store. */
export class Link {
  readonly #etcd: SimulatedEtcd;
  readonly #clock: SimulatedClock;
  /** Nothing arrives. */
  isCut = false;
  /** Share of messages that are lost. */
  loss = 0;
  /** Its process is killed: nobody waits for answers. */
  isDead = false;
  /** Since when every question was answered. */
  cleanSinceMs: number;
  /** Its watches tell nothing, and do not end. */
  isSilent = false;

  constructor(etcd: SimulatedEtcd) {
    this.#etcd = etcd;
    this.#clock = etcd.clock;
    this.cleanSinceMs = etcd.clock.nowMs;
  }

  /** Whether it gets an answer to what it asks now. */
  get reaches(): boolean {
    return !this.isCut && !this.isDead && this.loss === 0 && this.#etcd.isUp;
  }

  connect(): Etcd3 {
    const ask = <T>(answer: () => T): Promise<T> => this.#ask(answer);
    const etcd = this.#etcd;
    return {
      kv: { txn: (request: ITxnRequest) => ask(() => etcd.txn(request)) },
      leaseClient: {
        leaseGrant: ({ TTL }: { TTL: number }) => ask(() => ({ ID: etcd.grant(TTL) })),
        leaseRevoke: ({ ID }: { ID: string }) => ask(() => etcd.revoke(ID)),
        leaseKeepAlive: async () => {
          const stream = new EventEmitter();
          return Object.assign(stream, {
            write: ({ ID }: { ID: string }) => {
              ask(() => ({ TTL: etcd.keepAlive(ID) })).then(
                (answer) => stream.emit('data', answer),
                (error) => stream.emit('error', error),
              );
            },
            end: () => undefined,
          });
        },
      },
      watchClient: { watch: async () => this.#watch() },
      close: () => undefined,
    } as unknown as Etcd3;
  }

  #watch() {
    const stream = new EventEmitter();
    // TCP sends again what is lost, for as long as the connection lives.
    const tell = (ms = this.#delayMs()): void => {
      if (this.isSilent) return;
      this.#clock.after(ms, () => {
        if (this.isDead || isEnded) return;
        if (this.isCut || this.#clock.chance() < this.loss) tell(AGAIN_MS);
        else stream.emit('data', {});
      });
    };
    let isEnded = false;
    let end = (): void => undefined;
    return Object.assign(stream, {
      write: ({
        create_request: { key, range_end },
      }: {
        create_request: { key: Buffer; range_end: Buffer };
      }) => {
        this.#ask(() => {
          const registered = { isBelow: below(key, range_end), tell };
          this.#etcd.watches.add(registered);
          end = () => this.#etcd.watches.delete(registered);
        }).then(
          () => stream.emit('data', {}),
          (error) => stream.emit('error', error),
        );
      },
      end: () => undefined,
      cancel: () => {
        isEnded = true;
        end();
      },
    });
  }

  /** There and back. */
  async #ask<T>(answer: () => T): Promise<T> {
    const startMs = this.#clock.nowMs;
    const isThere = await this.#goes(startMs);
    if (!isThere) return this.#fails(startMs);
    if (!this.#etcd.isUp) {
      this.cleanSinceMs = this.#clock.nowMs;
      throw new GRPCUnavailableError('14 UNAVAILABLE');
    }
    const found = answer();
    return (await this.#goes(startMs)) ? found : this.#fails(startMs);
  }

  async #goes(startMs: number): Promise<boolean> {
    await this.#clock.sleep(this.#delayMs());
    if (this.isDead) return new Promise<never>(() => undefined);
    return !this.isCut && this.#clock.chance() >= this.loss && this.#clock.nowMs - startMs < ANSWER_MS;
  }

  async #fails(startMs: number): Promise<never> {
    await this.#clock.sleep(startMs + ANSWER_MS - this.#clock.nowMs);
    this.cleanSinceMs = this.#clock.nowMs;
    throw new GRPCDeadlineExceededError('4 DEADLINE_EXCEEDED');
  }

  /** Most are fast, and some are not. */
  #delayMs(): number {
    const chance = this.#clock.chance();
    return chance < 0.9 ? 5 : 5 + 400 * this.#clock.chance();
  }
}

function below(key: unknown, end: unknown): (each: string) => boolean {
  const first = textOf(key);
  if (end === undefined) return (each) => each === first;
  const last = textOf(end);
  return (each) => each >= first && each < last;
}

function textOf(bytes: unknown): string {
  return (bytes as Buffer).toString();
}

function copyOf({ entries, leases, revision }: State): State {
  return {
    entries: new Map(entries),
    leases: new Map([...leases].map(([id, lease]) => [id, { ...lease }])),
    revision,
  };
}
