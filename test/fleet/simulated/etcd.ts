/**
 * A store under a simulated clock, as far as anyhop asks etcd: transactions, leases, watches. One server stands for a cluster: its answers are
 * linearizable. link.ts is the way to it.
 */
import { EtcdLeaseInvalidError, type ITxnRequest } from 'etcd3';
import { rootOf } from '#anyhop/fleet/places.js';
import type { SimulatedClock } from './clock.js';

export const ROOT = rootOf('edge');

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
  /** Questions that arrive when nobody waits for their answers any more. */
  onTheWay = 0;
  /** When that changed last. */
  changedMs = 0;
  /** Is told of each value. */
  written: (place: string, value: string) => void = () => undefined;
  /** Is told of all that is about to be written at once; undefined for what is removed. */
  writing: (writes: ReadonlyMap<string, string | undefined>) => void = () => undefined;
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
    const holds = compare.every(({ key, target, create_revision, mod_revision, value }) => {
      const entry = state.entries.get(textOf(key));
      if (target === 'Value') return entry?.value.equals(value as Buffer) === true;
      return target === 'Create'
        ? (entry?.created ?? 0) === Number(create_revision)
        : (entry?.changed ?? 0) === Number(mod_revision);
    });
    if (!holds) return { header: { revision: `${state.revision}` }, succeeded: false, responses: [] };
    for (const { request_put: put } of success)
      if (put?.lease && !state.leases.has(`${put.lease}`)) throw new EtcdLeaseInvalidError(`${put.lease}`);
    this.writing(writesOf(success));
    return this.#commit(success);
  }

  /** Somebody else writes it, with no condition. */
  writeByHand(place: string, value: string): void {
    this.#expire();
    this.#commit([{ request_put: { key: Buffer.from(ROOT + place), value: Buffer.from(value) } }]);
  }

  #commit(success: NonNullable<ITxnRequest['success']>) {
    const state = this.#state;
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

export function below(key: unknown, end: unknown): (each: string) => boolean {
  const first = textOf(key);
  if (end === undefined) return (each) => each === first;
  const last = textOf(end);
  return (each) => each >= first && each < last;
}

export function textOf(bytes: unknown): string {
  return (bytes as Buffer).toString();
}

function copyOf({ entries, leases, revision }: State): State {
  return {
    entries: new Map(entries),
    leases: new Map([...leases].map(([id, lease]) => [id, { ...lease }])),
    revision,
  };
}

function writesOf(success: NonNullable<ITxnRequest['success']>): Map<string, string | undefined> {
  return new Map(
    success.flatMap(({ request_put: put, request_delete_range: gone }): [string, string | undefined][] => {
      const key = put?.key ?? gone?.key;
      return key === undefined ? [] : [[textOf(key).slice(ROOT.length), put && textOf(put.value)]];
    }),
  );
}
