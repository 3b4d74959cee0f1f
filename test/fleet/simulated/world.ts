/**
 * A fleet under a simulated clock: real members, real stores, real operators; the servers, the network and the disks are simulated. It watches
 * the laws of docs/fleet.md while time passes, and keeps the first that is broken.
 */
import type { KeptRevision } from '#anyhop/config/fleet/kept.js';
import type { FleetConfig } from '#anyhop/config/fleet/types.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { AGENTS_MS } from '#anyhop/fleet/agents-have.js';
import { apply } from '#anyhop/fleet/apply.js';
import { StoreClient } from '#anyhop/fleet/client.js';
import { FleetMember } from '#anyhop/fleet/member.js';
import { ACTIVE, INTENT, NODES } from '#anyhop/fleet/places.js';
import { digestOfText, opened } from '#anyhop/fleet/record.js';
import { type MemberRole, readActive, readMember } from '#anyhop/fleet/said.js';
import type { AskedSibling } from '#anyhop/fleet/siblings.js';
import { FleetStore } from '#anyhop/fleet/store.js';
import { readFleetView } from '#anyhop/fleet/view.js';
import { type Logged, newOperatorKey, recordingLog } from '../fleet.js';
import type { SimulatedClock } from './clock.js';
import { Link, type SimulatedEtcd } from './etcd.js';

/** Of docs/fleet.md: for how long two forwarders that reach the store may differ. */
export const DIFFER_MS = 30_000;
/** The same after a restore from an older snapshot. */
export const RESTORED_MS = 15_000;
/** What is begun at one moment on several machines. */
const MOMENT_MS = 1_000;
/** Of a sibling that does not answer. */
const SIBLING_MS = 2_500;

export const key = newOperatorKey();
export const config: FleetConfig = {
  name: 'edge',
  endpoints: ['http://192.0.2.1:2379'],
  operatorKey: Buffer.from(key.publicBytes),
  authorities: undefined,
  certificate: undefined,
  views: 'own',
};

interface Process {
  readonly member: FleetMember;
  readonly store: FleetStore;
  readonly link: Link;
  readonly logged: Logged[];
  readonly startMs: number;
  /** In force in it; undefined until it serves. */
  text: string | undefined;
  number: number;
}

export class Host {
  readonly place: string;
  readonly role: MemberRole;
  readonly #world: World;
  process: Process | undefined;
  disk: KeptRevision | undefined;
  isCut = false;
  /** Siblings do not reach it, nor it them. */
  isAlone = false;
  /** When the way to the store changed last. */
  wayChangedMs = 0;
  loss = 0;
  prepareMs = 0;
  activateMs = 0;
  keepMs = 0;
  refuses = false;
  fails = false;
  /** How much it does that takes long. */
  busy = 0;

  constructor(world: World, role: MemberRole, name: string) {
    this.#world = world;
    this.role = role;
    this.place = `${role}/${name}`;
  }

  /** Why it is not sent traffic; undefined for a process that is. */
  get isReady(): boolean {
    const { process } = this;
    return process?.text !== undefined && process.member.behind === undefined;
  }

  start(): void {
    if (this.process !== undefined) return;
    const world = this.#world;
    const link = world.link(this);
    const logged: Logged[] = [];
    const log = recordingLog(logged);
    const store = new FleetStore(
      config,
      log,
      new StoreClient(
        config,
        () => config,
        () => link.connect(),
      ),
    );
    const kept = this.disk;
    const prepare = async (text: string) => {
      await this.#lasts(this.prepareMs);
      if (this.refuses) throw new AnyhopError('ERR_FLEET', 'the model refuses');
      return { digest: digestOfText(text), waits: [] };
    };
    const member = new FleetMember({
      fleet: config,
      role: this.role,
      name: this.place.split('/')[1]!,
      kept,
      keep: async (revision) => {
        await this.#lasts(this.keepMs);
        if (this.process === process) this.disk = revision;
      },
      store,
      prepare: (_, { text }) => prepare(text),
      concerns: () => true,
      siblings: () => world.siblingsOf(this),
      log,
    });
    const process: Process = {
      member,
      store,
      link,
      logged,
      startMs: world.clock.nowMs,
      text: undefined,
      number: 0,
    };
    this.process = process;
    void member.first(3_000).then(({ number, text }) => {
      if (this.process !== process) return;
      this.#takes(process, number, text);
      member.serve({
        prepare: (_, { text }) => prepare(text),
        release: () => undefined,
        activate: async ({ number }, { text }) => {
          await this.#lasts(this.activateMs);
          if (this.fails) throw new AnyhopError('ERR_FLEET', 'the model fails');
          if (this.process === process) this.#takes(process, number, text);
        },
        standing: () => ({ ready: member.behind === undefined, reason: member.behind?.slice(0, 900) }),
      });
    });
  }

  async #lasts(ms: number): Promise<void> {
    this.busy++;
    await this.#world.clock.sleep(ms);
    this.busy--;
  }

  #takes(process: Process, number: number, text: string): void {
    process.number = number;
    process.text = text;
    this.#world.took(this, process, number, text);
  }

  kill(): void {
    const { process } = this;
    if (process === undefined) return;
    this.process = undefined;
    process.link.isDead = true;
    process.store.close();
    void process.member.close();
  }

  stop(): Promise<void> {
    const { process } = this;
    this.process = undefined;
    return process?.member.close() ?? Promise.resolve();
  }
}

export interface Operator {
  readonly text: string;
  readonly without: readonly string[];
  readonly link: Link;
  readonly store: FleetStore;
  readonly abort: AbortController;
  result: 'open' | 'killed' | { readonly number: number; readonly late: readonly string[] } | Error;
}

export class World {
  readonly clock: SimulatedClock;
  readonly etcd: SimulatedEtcd;
  readonly hosts: Host[];
  readonly operators: Operator[] = [];
  /** The first law that was broken, in words. */
  broken: string | undefined;
  /** Texts that are in force nowhere, for a change that came to nothing. */
  readonly #refused = new Set<string>();
  /** Changes that came into force, by number. */
  readonly #won = new Map<number, string>();
  readonly #takenTexts = new Set<string>();
  /** The highest number that each has told. */
  readonly #numbers = new Map<Host, number>();
  readonly #forwarders: readonly Host[];
  /** Since when two forwarders differ. */
  readonly #differ = new Map<string, number>();
  #restoredMs = Number.NEGATIVE_INFINITY;
  #texts = 0;

  constructor(etcd: SimulatedEtcd, forwarders: number, agents: number) {
    this.etcd = etcd;
    this.clock = etcd.clock;
    this.hosts = [
      ...Array.from({ length: forwarders }, (_, i) => new Host(this, 'forwarder', `edge-${i + 1}`)),
      ...Array.from({ length: agents }, (_, i) => new Host(this, 'agent', `web-${i + 1}`)),
    ];
    this.#forwarders = this.hosts.filter(({ role }) => role === 'forwarder');
    etcd.written = (place, value) => this.#told(place, value);
  }

  link(host: Host): Link {
    const link = new Link(this.etcd);
    link.isCut = host.isCut;
    link.loss = host.loss;
    return link;
  }

  siblingsOf(host: Host): AskedSibling[] {
    const others = this.#forwarders.filter((other) => other !== host);
    return others.map((other) => ({
      name: other.place,
      ask: async () => {
        await this.clock.sleep(5);
        const revision = other.process?.member.inForce;
        if (!isJoined(host, other) || revision === undefined) {
          await this.clock.sleep(SIBLING_MS);
          throw new Error('it does not answer');
        }
        return JSON.stringify(revision);
      },
    }));
  }

  /** Begins it, and does not wait. */
  apply(without: readonly string[] = []): Operator {
    const link = new Link(this.etcd);
    const store = new FleetStore(
      config,
      recordingLog([]),
      new StoreClient(
        config,
        () => config,
        () => link.connect(),
      ),
    );
    const text = `config ${++this.#texts}`;
    const abort = new AbortController();
    const operator: Operator = { text, without, link, store, abort, result: 'open' };
    this.operators.push(operator);
    const run = async () =>
      apply(
        store,
        await readFleetView(store, config),
        {
          text,
          digest: digestOfText(text),
          by: 'the model',
          message: '',
          force: false,
          without: [...without],
          changes: [],
        },
        { fleet: config, key, signal: abort.signal, progress: () => undefined },
      );
    void run().then(
      ({ revision, late }) => this.#ended(operator, { number: revision.number, late }),
      (error: Error) => this.#ended(operator, error),
    );
    return operator;
  }

  #ended(operator: Operator, result: Operator['result']): void {
    if (operator.result === 'killed') return;
    operator.result = result;
    operator.store.close();
    if (typeof result === 'object' && !(result instanceof Error)) {
      const other = this.#won.get(result.number);
      if (other !== undefined)
        this.#breaks(`"${other}" and "${operator.text}" are both revision ${result.number}`);
      this.#won.set(result.number, operator.text);
    }
    if (!(result instanceof Error)) return;
    if (!(result instanceof AnyhopError)) throw result;
    if (/nobody knows yet/.test(result.message)) return;
    this.#refused.add(operator.text);
    if (this.#takenTexts.has(operator.text))
      this.#breaks(`"${operator.text}" failed (${result.message}), and is in force somewhere`);
  }

  killOperators(): void {
    for (const operator of this.operators) {
      if (operator.result !== 'open') continue;
      operator.result = 'killed';
      operator.link.isDead = true;
      operator.store.close();
    }
  }

  restore(): void {
    if (!this.etcd.restore()) return;
    this.#restoredMs = this.clock.nowMs;
    this.#won.clear();
  }

  took(host: Host, process: Process, number: number, text: string): void {
    this.#takenTexts.add(text);
    if (this.#refused.has(text)) this.#breaks(`${host.place} takes "${text}", which was refused`);
    if (number < (this.#numbers.get(host) ?? 0))
      this.#breaks(`${host.place} goes back from revision ${this.#numbers.get(host)} to ${number}`);
    if (host.role === 'forwarder') this.#agentsFirst(host, process, number);
  }

  /** No agent that answers is behind a forwarder, but for those that it names. */
  #agentsFirst(host: Host, { logged, startMs }: Process, number: number): void {
    if (startMs + MOMENT_MS > this.clock.nowMs) return;
    const named = logged.flatMap(({ event, revision, agents }) =>
      event === 'fleet_agents_late' && revision === number ? (agents as string[]) : [],
    );
    for (const agent of this.hosts) {
      const { process, place, role } = agent;
      if (role !== 'agent' || process === undefined || process.text === undefined) continue;
      if (process.startMs + MOMENT_MS > this.clock.nowMs - AGENTS_MS) continue;
      const said = readMember(this.etcd.get(`nodes/${place}`));
      if (said === undefined || said.active >= number || named.includes(place)) continue;
      if (this.#without(number).includes(place)) continue;
      this.#breaks(`${host.place} goes on with revision ${number}, and ${place} has ${said.active}`);
    }
  }

  #without(number: number): readonly string[] {
    const record = this.etcd.get(`revisions/${String(number).padStart(10, '0')}`);
    return record === undefined ? [] : opened(record, config.name, config.operatorKey).without;
  }

  /** To be called after each moment. */
  readonly look = (): void => {
    for (const [i, a] of this.#forwarders.entries())
      for (const b of this.#forwarders.slice(i + 1)) this.#compare(a, b);
  };

  /** Somebody has read it, maybe. */
  #told(place: string, value: string): void {
    const host = this.hosts.find((each) => place === `nodes/${each.place}`);
    const active = Number(/"active":(\d+)/.exec(value)?.[1]);
    if (host?.process?.text !== undefined && active === host.process.number)
      this.#numbers.set(host, Math.max(active, this.#numbers.get(host) ?? 0));
  }

  #compare(a: Host, b: Host): void {
    const pair = `${a.place} ${b.place}`;
    const [one, other] = [a.process, b.process];
    const differs =
      one !== undefined && other !== undefined && one.text !== other.text && a.isReady && b.isReady;
    const reachMs = differs ? this.#reachSince(a, one, b, other) : undefined;
    if (!differs || reachMs === undefined) {
      this.#differ.delete(pair);
      return;
    }
    const since = Math.max(this.#differ.get(pair) ?? this.clock.nowMs, reachMs);
    this.#differ.set(pair, since);
    const passedMs = this.clock.nowMs - since;
    if (passedMs > DIFFER_MS)
      this.#breaks(
        `${a.place} serves by "${one.text}" (${one.number}) and ${b.place} by "${other.text}" (${other.number}) for ${passedMs} ms`,
      );
  }

  /** Since when both reach the store, or each other while one does not; undefined when neither is so. */
  #reachSince(a: Host, one: Process, b: Host, other: Process): number | undefined {
    if (one.link.reaches && other.link.reaches)
      return Math.max(one.link.cleanSinceMs, other.link.cleanSinceMs, this.#restoredMs + RESTORED_MS);
    if (!isJoined(a, b) || a.loss > 0 || b.loss > 0) return undefined;
    return Math.max(
      ...[a.wayChangedMs, b.wayChangedMs, this.etcd.changedMs, one.startMs, other.startMs],
      this.#restoredMs + RESTORED_MS,
    );
  }

  /** No two forwarders serve by different revisions, as far as they must not. */
  get isAlike(): boolean {
    return this.#differ.size === 0;
  }

  #breaks(law: string): void {
    this.broken ??= `at ${this.clock.nowMs} ms: ${law}`;
  }

  /** All is well from now on. */
  mend(): void {
    this.etcd.start();
    this.killOperators();
    for (const host of this.hosts) {
      Object.assign(host, {
        isCut: false,
        isAlone: false,
        loss: 0,
        prepareMs: 0,
        activateMs: 0,
        keepMs: 0,
        refuses: false,
        fails: false,
      });
      if (host.process !== undefined)
        Object.assign(host.process.link, { isCut: false, loss: 0, isSilent: false });
      host.start();
    }
  }

  /** What a fleet that is well lacks: all that are not left out have the head, and the others do not serve. */
  lacksHead(): string | undefined {
    if (this.etcd.get(INTENT) !== undefined) return 'a change is being prepared, and its operator is gone';
    const head = readActive(this.etcd.get(ACTIVE))?.number ?? 0;
    const without = head === 0 ? [] : this.#without(head);
    for (const host of this.hosts) {
      const number = host.process?.number ?? 0;
      if (host.busy > 0) return `${host.place} is busy`;
      if (readMember(this.etcd.get(NODES + host.place))?.active !== number)
        return `${host.place} has ${number}, and does not say so`;
      if (number >= head) continue;
      if (!without.includes(host.place)) return `${host.place} has ${number}, and the fleet ${head}`;
      if (host.isReady && host.role === 'forwarder')
        return `${host.place} was left out of ${head}, and serves by ${number}`;
    }
    return undefined;
  }

  /** What is missing for a change to have reached all. */
  lacks({ text, result }: Operator): string | undefined {
    if (result === 'open' || result instanceof Error)
      return `nothing is wrong, and "${text}" does not come into force: ${result}`;
    for (const host of this.hosts) {
      if (host.process?.text !== text) return `${host.place} has "${host.process?.text}" and not "${text}"`;
      if (!host.isReady) return `${host.place} is not ready: ${host.process?.member.behind}`;
    }
    return undefined;
  }

  /** @param lack what must not be missing any more */
  require(lack: string | undefined): void {
    if (lack !== undefined) this.#breaks(lack);
  }

  close(): void {
    this.killOperators();
    for (const host of this.hosts) host.kill();
  }
}

function isJoined(a: Host, b: Host): boolean {
  return !a.isAlone && !b.isAlone;
}
