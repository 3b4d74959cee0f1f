/**
 * Members of a fleet in this process, without packets: their config is any text, and its digest stands for their tables.
 *
 *   const fleet = new TestFleet(etcd.endpoints);
 *   const edge = fleet.member('forwarder', 'edge-1');
 *   await fleet.apply('first config');
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type KeptRevision, keepRevision } from '#anyhop/config/fleet/kept.js';
import type { FleetConfig } from '#anyhop/config/fleet/types.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import type { Logger } from '#anyhop/core/log.js';
import { type Applied, apply, type Change } from '#anyhop/fleet/apply.js';
import type { SigningKey } from '#anyhop/fleet/keys.js';
import { FleetMember } from '#anyhop/fleet/member.js';
import { digestOfText } from '#anyhop/fleet/record.js';
import type { MemberRole } from '#anyhop/fleet/said.js';
import type { AskedSibling } from '#anyhop/fleet/siblings.js';
import { FleetStore, type Store } from '#anyhop/fleet/store.js';
import { type FleetView, readFleetView } from '#anyhop/fleet/view.js';

export interface Logged {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface TestMember {
  readonly member: FleetMember;
  readonly store: Store;
  readonly logged: Logged[];
  /** Numbers of the revisions that were put in force here, in order. */
  readonly taken: number[];
  /** The text in force here. */
  text(): string | undefined;
  /** Says no to texts, or lets them wait. */
  judge: (text: string) => Promise<{ waits?: string[] } | undefined>;
  /** Before it puts a text in force. */
  hold: (text: string) => Promise<void>;
  ready(): Promise<void>;
}

export interface TestMemberOptions {
  readonly kept?: KeptRevision;
  readonly config?: Partial<FleetConfig>;
  /** Another store than etcd. */
  readonly store?: Store;
  readonly siblings?: readonly AskedSibling[];
}

export function newOperatorKey(): SigningKey {
  const pair = generateKeyPairSync('ed25519');
  const der = pair.publicKey.export({ type: 'spki', format: 'der' });
  return { private: pair.privateKey, publicBytes: der.subarray(der.length - 32) };
}

export function recordingLog(logged: Logged[]): Logger {
  const take = (event: Logged): void => void logged.push(event);
  return { info: take, warn: take, error: take, debug: take } as unknown as Logger;
}

export class TestFleet {
  readonly key = newOperatorKey();
  readonly config: FleetConfig;
  readonly directory = mkdtempSync(join(tmpdir(), 'anyhop-fleet-'));
  readonly #stores: Store[] = [];
  #own: Store | undefined;
  readonly #members = new Set<FleetMember>();

  constructor(endpoints: readonly string[], config: Partial<FleetConfig> = {}) {
    this.config = {
      name: 'edge',
      endpoints: [...endpoints],
      operatorKey: Buffer.from(this.key.publicBytes),
      authorities: undefined,
      certificate: undefined,
      views: 'own',
      ...config,
    };
  }

  store(logged: Logged[] = [], config: Partial<FleetConfig> = {}): FleetStore {
    const store = new FleetStore({ ...this.config, ...config }, recordingLog(logged));
    this.#stores.push(store);
    return store;
  }

  member(role: MemberRole, name: string, options: TestMemberOptions = {}): TestMember {
    const { kept, config } = options;
    const logged: Logged[] = [];
    const store = options.store ?? this.store(logged, config);
    let inForce = kept?.text;
    const taken: number[] = [];
    const prepare = async (text: string) => {
      const said = await test.judge(text);
      return { digest: digestOfText(text), waits: said?.waits ?? [] };
    };
    const member = new FleetMember({
      fleet: { ...this.config, ...config },
      role,
      name,
      kept,
      keep: (revision) =>
        keepRevision(join(this.directory, `${role}-${name}.yaml`), revision, this.directory),
      store,
      prepare: (_, { text }) => prepare(text),
      concerns: () => true,
      siblings: () => options.siblings ?? [],
      log: recordingLog(logged),
    });
    this.#members.add(member);
    const test: TestMember = {
      member,
      store,
      logged,
      taken,
      text: () => inForce,
      judge: async () => undefined,
      hold: async () => undefined,
      ready: async () => {
        const first = await member.first(3_000);
        inForce = first.text;
        taken.push(first.number);
        member.serve({
          prepare: (_, { text }) => prepare(text),
          release: () => undefined,
          activate: async ({ number }, { text }) => {
            await test.hold(text);
            inForce = text;
            taken.push(number);
          },
          standing: () => ({ ready: member.behind === undefined, reason: member.behind?.slice(0, 900) }),
        });
      },
    };
    return test;
  }

  async stop({ member }: TestMember): Promise<void> {
    this.#members.delete(member);
    await member.close();
  }

  async view(store: Store = this.#operator()): Promise<FleetView> {
    return readFleetView(store, this.config);
  }

  /** @param change what it says besides its text */
  async apply(
    text: string,
    change: Partial<Change> & { signal?: AbortSignal; store?: Store } = {},
  ): Promise<Applied> {
    const { signal = new AbortController().signal, store = this.#operator(), ...said } = change;
    const all = {
      text,
      digest: digestOfText(text),
      by: 'tests',
      message: '',
      force: false,
      without: [],
      changes: [],
      ...said,
    };
    const { config: fleet, key } = this;
    return apply(store, await readFleetView(store, fleet), all, {
      fleet,
      key,
      signal,
      progress: () => undefined,
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.close()));
    for (const store of this.#stores) store.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #operator(): Store {
    this.#own ??= this.store();
    return this.#own;
  }
}

export function refusing(why: string): () => Promise<never> {
  return () => Promise.reject(new AnyhopError('ERR_FLEET', why));
}

/** @throws when it does not hold in time */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  mostMs = 20_000,
): Promise<void> {
  const endMs = performance.now() + mostMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within ${mostMs} ms: ${what}`);
    await sleep(20);
  }
}
