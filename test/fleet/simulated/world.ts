/**
 * A fleet under a simulated clock: real members, real stores, real operators; the servers, the network and the disks are simulated. It watches
 * the laws of docs/fleet.md while time passes, and keeps the first that is broken.
 */
import type { KeptRevision } from '#anyhop/config/fleet/kept.js';
import { AGENTS_MS } from '#anyhop/fleet/agents-have.js';
import { ACTIVE, INTENT, NODES, revisionPlace } from '#anyhop/fleet/places.js';
import { digestOfText, opened } from '#anyhop/fleet/record.js';
import { readActive, readMember } from '#anyhop/fleet/said.js';
import type { AskedSibling } from '#anyhop/fleet/siblings.js';
import type { SimulatedClock } from './clock.js';
import type { SimulatedEtcd } from './etcd.js';
import { Host, type Process } from './host.js';
import { Link } from './link.js';
import { type Operator, Operators } from './operators.js';
import { config } from './setting.js';

/** Of docs/fleet.md: for how long two forwarders that reach the store may differ. */
export const DIFFER_MS = 30_000;
/** The same after a restore from an older snapshot. */
export const RESTORED_MS = 15_000;
/** What is begun at one moment on several machines. */
const MOMENT_MS = 1_000;
/** Of a sibling that does not answer. */
const SIBLING_MS = 2_500;

export class World {
  readonly clock: SimulatedClock;
  readonly etcd: SimulatedEtcd;
  readonly hosts: Host[];
  readonly operators: Operators;
  /** The first law that was broken, in words. */
  broken: string | undefined;
  /** The highest number that each has told. */
  readonly #numbers = new Map<Host, number>();
  readonly #forwarders: readonly Host[];
  /** Since when two forwarders differ. */
  readonly #differ = new Map<string, number>();
  #restoredMs = Number.NEGATIVE_INFINITY;

  constructor(etcd: SimulatedEtcd, forwarders: number, agents: number) {
    this.etcd = etcd;
    this.clock = etcd.clock;
    this.hosts = [
      ...Array.from({ length: forwarders }, (_, i) => new Host(this, 'forwarder', `edge-${i + 1}`)),
      ...Array.from({ length: agents }, (_, i) => new Host(this, 'agent', `web-${i + 1}`)),
    ];
    this.#forwarders = this.hosts.filter(({ role }) => role === 'forwarder');
    this.operators = new Operators(etcd, (law) => this.#breaks(law));
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

  restore(): void {
    if (!this.etcd.restore()) return;
    this.#restoredMs = this.clock.nowMs;
    this.operators.restored();
  }

  /** Somebody writes that the revision before is in force, as if the store had forgotten the last one. */
  goBackByHand(): void {
    const active = readActive(this.etcd.get(ACTIVE));
    const record = active && this.etcd.get(revisionPlace(active.number - 1));
    if (active === undefined || record === undefined) return;
    this.#restoredMs = this.clock.nowMs;
    this.operators.restored();
    const before = { number: active.number - 1, record: digestOfText(record) };
    this.etcd.writeByHand(ACTIVE, JSON.stringify(before));
  }

  /** Somebody writes something else where the next revision would be. */
  writeRevisionByHand(): void {
    const { number = 0 } = readActive(this.etcd.get(ACTIVE)) ?? {};
    const place = revisionPlace(number + 1);
    if (this.etcd.get(place) === undefined) this.etcd.writeByHand(place, 'a note');
  }

  took(host: Host, process: Process, number: number, text: string): void {
    this.operators.taken(host.place, text);
    if (number < (this.#numbers.get(host) ?? 0))
      this.#breaks(`${host.place} goes back from revision ${this.#numbers.get(host)} to ${number}`);
    if (host.role === 'forwarder') this.#agentsFirst(host, process, number);
  }

  /** It remembers all that was in force between what it had and what it has now, as far as the store knows of it. */
  keeps({ place, role }: Host, { member, recalled }: Process, { number, record }: KeptRevision): void {
    if (role !== 'forwarder' || this.#restoredMs + RESTORED_MS > this.clock.nowMs) return;
    const missed = this.operators.between(member.inForce?.record, record);
    if (missed.join() !== recalled.join())
      this.#breaks(`${place} takes revision ${number}, and remembers ${recalled} and not ${missed}`);
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
    const record = this.etcd.get(revisionPlace(number));
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
    this.operators.kill();
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
    if (this.etcd.onTheWay > 0) return 'a question is on its way to the store';
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
    this.operators.kill();
    for (const host of this.hosts) host.kill();
  }
}

function isJoined(a: Host, b: Host): boolean {
  return !a.isAlone && !b.isAlone;
}
