/**
 * The next hops of a set of backends, resolved and then followed in the background. After any sequence of events they are what a fresh
 * resolution would find.
 *
 *   ip monitor: something changed --> read the tables --> trace each backend --> what differs: log, listeners
 *                                          ^                    |
 *   every 5 s, and while somebody waits ---+                    +--> have neighbours found out and kept fresh
 *
 * Of a link that goes down listeners are told before anything is read.
 *
 * While a neighbour is being asked, the former next hop stays in force: a flushed entry or a new gateway takes no backend down for the
 * time of an ARP exchange. The kernel gives up after 3 s.
 */
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import type { RunTool } from '../core/tool.js';
import { runTool } from '../ffi/tool.js';
import type { IpAddress } from '../packet/address.js';
import { type Link, readLinks } from './link.js';
import { type Change, type Monitor, type StartMonitor, startMonitor } from './monitor.js';
import { type Neighbour, type NeighbourPlace, readNeighbours, useNeighbours } from './neighbour.js';
import { NeighbourUses } from './neighbour-uses.js';
import { hopKey, type NextHop, type NoNextHop, type Traced, traceNextHop, unanswered } from './next-hop.js';
import { logChanges, type NextHopChange } from './next-hop-log.js';
import { ReadQueue } from './read-queue.js';
import { type Answer, askFrom, type RouteSources, type RouteTarget, rulesFrom } from './route.js';
import { type SeenLink, withSeen } from './seen-link.js';

export interface NextHopsOptions {
  readonly log: Logger;
  /** What packets are sent from. */
  readonly sources?: RouteSources;
  /** False for an engine that leaves the frames to the kernel: tunnels are next hops too, then. True when not given. */
  readonly asFrames?: boolean;
  /** Why the engine cannot send to a next hop, in words for a log line; such a backend counts as down. */
  readonly refuse?: (hop: NextHop) => string | undefined;
  /** See logChanges. */
  readonly withoutHop?: string;
  readonly run?: RunTool;
  readonly monitor?: StartMonitor;
}

export type NextHopListener = (changes: readonly NextHopChange[]) => void;
export type LinksListener = (links: ReadonlyMap<string, Link>) => void;

/**
 * How often neighbours are used. An entry is believed for 15 to 45 s after its last answer (base_reachable_time); the next
 * use starts the probes that tell a dead gateway within 8 s. One that failed is asked again as often. The kernel may
 * collect an entry that has not been used for 60 s (gc_stale_time). Using 4000 entries takes 45 ms.
 */
const USE_INTERVAL_MS = 5_000;
/** Each so many times everything is read, in case word of a change was lost: every 30 s. */
const USES_PER_FULL_READ = 6;
/** A little more than the kernel's own 3 s (mcast_solicit times retrans_time). */
const RESOLVE_TIMEOUT_MS = 3_500;
/** Between reads while `resolve` waits: a healthy neighbour answers within a millisecond. */
const WAITING_MS = 20;

const READING_FAILS = 'routes and neighbours cannot be read';
const SOURCE_UNUSED = 'routes are looked up without the source of what is sent';
const USING_FAILS = 'neighbours cannot be kept resolved';
/** What to do about what the kernel says against using neighbours. */
const HINTS: readonly (readonly [string, string])[] = [
  ['not permitted', 'the program ip needs CAP_NET_ADMIN: let it be an ambient capability of this process'],
  [
    'No buffer space',
    'the table is full: raise net.ipv4.neigh.default.gc_thresh3 and net.ipv6.neigh.default.gc_thresh3',
  ],
];

interface Target {
  readonly address: IpAddress;
  readonly names: string[];
}

export class NextHops {
  readonly #log: Logger;
  readonly #run: RunTool;
  readonly #sources: RouteSources;
  readonly #asFrames: boolean;
  readonly #refuse: (hop: NextHop) => string | undefined;
  readonly #withoutHop: string | undefined;
  readonly #startMonitor: StartMonitor;
  readonly #reads: ReadQueue;
  readonly #listeners = new Set<NextHopListener>();
  readonly #linkListeners = new Set<LinksListener>();
  /** All by the address's canonical text. */
  readonly #current = new Map<string, NextHop | NoNextHop>();
  #targets = new Map<string, Target>();
  #answers = new Map<string, Answer>();
  #links: ReadonlyMap<string, Link> = new Map();
  /** What was said of links since the last read of them began. */
  #seen: SeenLink[] = [];
  #neighbours: ReadonlyMap<string, Neighbour> = new Map();
  #uses = new NeighbourUses();
  #monitor: Monitor | undefined;
  #interval: NodeJS.Timeout | undefined;
  #intervals = 0;
  /** Why it last failed, by what failed. */
  readonly #complaints = new Map<string, string | undefined>();

  constructor({
    log,
    sources = {},
    asFrames = true,
    refuse = () => undefined,
    withoutHop,
    run = runTool,
    monitor = startMonitor,
  }: NextHopsOptions) {
    this.#log = log;
    this.#run = run;
    this.#sources = sources;
    this.#asFrames = asFrames;
    this.#refuse = refuse;
    this.#withoutHop = withoutHop;
    this.#startMonitor = monitor;
    this.#reads = new ReadQueue(
      (what) => this.#read(what),
      (error) => this.#said(READING_FAILS, reasonOf(error)),
    );
  }

  /** By the address's canonical text: all targets, once their `resolve` has resolved. */
  current(): ReadonlyMap<string, NextHop | NoNextHop> {
    return this.#current;
  }

  /** Calls `listener` after every change, which has been logged, until the returned function is called. */
  onChange(listener: NextHopListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Calls `listener` with all interfaces, by name, as last known, and whenever they have been read or one has gone down, until the
   * returned function is called.
   */
  onLinks(listener: LinksListener): () => void {
    this.#linkListeners.add(listener);
    if (this.#links.size > 0) listener(this.#links);
    return () => this.#linkListeners.delete(listener);
  }

  /**
   * Follows these backends from now on and no others; several may share an address. Resolves once each has a next hop or
   * definitely none; one whose neighbour has said nothing by `timeoutMs` has none until it does.
   * @throws AnyhopError ERR_TOOL when the kernel cannot be asked
   */
  async resolve(targets: readonly RouteTarget[], timeoutMs: number = RESOLVE_TIMEOUT_MS): Promise<void> {
    this.#follow();
    this.#targets = byAddress(targets);
    for (const text of this.#current.keys()) if (!this.#targets.has(text)) this.#current.delete(text);
    if (this.#links.size > 0 && this.#hasAll()) return; // what changed since then is told in the background
    const deadlineMs = performance.now() + timeoutMs;
    await this.#reads.now('anything');
    while (!this.#hasAll() && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, WAITING_MS));
      await this.#reads.now('neighbours');
    }
    this.#giveUp();
  }

  /** Ends what was started here. The kernel's neighbour entries go on as any others. */
  async close(): Promise<void> {
    this.#listeners.clear();
    this.#linkListeners.clear();
    clearInterval(this.#interval);
    await this.#monitor?.close();
    await this.#reads.close();
  }

  #hasAll(): boolean {
    return this.#current.size === this.#targets.size;
  }

  #follow(): void {
    if (this.#monitor !== undefined) return;
    this.#monitor = this.#startMonitor({
      changed: (what) => this.#reads.later(what),
      sawLink: (seen) => this.#sawLink(seen),
      lost: (why) => {
        const message = `ip monitor: ${why}; it is started again, and all routes and neighbours are read anew`;
        this.#log.warn({ event: 'monitor_lost', why }, message);
      },
    });
    this.#interval = setInterval(() => {
      this.#intervals += 1;
      this.#reads.later(this.#intervals % USES_PER_FULL_READ === 0 ? 'anything' : 'neighbours');
      void this.#use(this.#uses.usable());
    }, USE_INTERVAL_MS).unref();
  }

  async #read(what: Change): Promise<void> {
    const targets = [...this.#targets.values()].map(({ address }) => address);
    const neighbours = readNeighbours(this.#run);
    if (what === 'anything') {
      this.#seen = [];
      const [links, answers] = await Promise.all([readLinks(this.#run), this.#ask(targets), neighbours]);
      this.#setLinks(withSeen(links, this.#seen));
      this.#answers = new Map(targets.map(({ text }, i) => [text, answers[i]!]));
    }
    this.#neighbours = await neighbours;
    const unasked = this.#update();
    this.#said(READING_FAILS, undefined);
    await this.#use(unasked);
  }

  /** What rests on a link that went down is told at once; all is read soon. */
  #sawLink(seen: SeenLink): void {
    this.#seen.push(seen);
    const links = withSeen(this.#links, [seen]);
    if (links === this.#links) return;
    this.#setLinks(links);
    void this.#use(this.#update());
  }

  #setLinks(links: ReadonlyMap<string, Link>): void {
    this.#links = links;
    for (const listener of this.#linkListeners) listener(links);
  }

  async #ask(targets: readonly IpAddress[]): Promise<readonly Answer[]> {
    if (targets.length === 0) return [];
    const { answers, strange } = await askFrom(targets, this.#sources, this.#run);
    const rules = strange === undefined ? [] : await rulesFrom(strange, this.#run);
    const why =
      `${strange?.text} is no address of this host, and rules look at it (${rules.join('; ')}); ` +
      `give it to the host: ip addr add ${strange?.text}/32 dev lo`;
    this.#said(SOURCE_UNUSED, rules.length === 0 ? undefined : why);
    return answers;
  }

  /** Compares what was read with what was known. @returns the neighbours that the kernel is to be asked for */
  #update(): readonly NeighbourPlace[] {
    const changes: NextHopChange[] = [];
    this.#uses.startRound(this.#neighbours, performance.now());
    for (const target of this.#targets.values()) {
      const traced = this.#trace(target);
      if (traced === undefined) continue;
      const { neighbour } = traced;
      const standing = neighbour === undefined ? 'resolved' : this.#uses.lookUp(neighbour);
      const now = standing === 'failed' ? unanswered(neighbour!, target.address) : traced.hop;
      if (now !== undefined) this.#set(target, now, changes);
    }
    this.#tell(changes);
    return this.#uses.unasked();
  }

  /** Whoever has no verdict yet has no next hop. */
  #giveUp(): void {
    const changes: NextHopChange[] = [];
    for (const target of this.#targets.values()) {
      const neighbour = this.#current.has(target.address.text) ? undefined : this.#trace(target)?.neighbour;
      if (neighbour !== undefined) this.#set(target, unanswered(neighbour, target.address), changes);
    }
    this.#tell(changes);
  }

  /** Undefined when the target is newer than the last read. */
  #trace({ address }: Target): Traced | undefined {
    const answer = this.#answers.get(address.text);
    const tables = { links: this.#links, neighbours: this.#neighbours };
    if (answer === undefined) return undefined;
    const traced = traceNextHop(address, answer, tables, this.#asFrames);
    if (traced.hop === undefined || traced.hop.reason !== undefined) return traced;
    const reason = this.#refuse(traced.hop);
    return reason === undefined ? traced : { hop: { reason }, neighbour: undefined };
  }

  #set({ address, names }: Target, now: NextHop | NoNextHop, changes: NextHopChange[]): void {
    const before = this.#current.get(address.text);
    if (before !== undefined && hopKey(before) === hopKey(now)) return;
    this.#current.set(address.text, now);
    changes.push({ address, names, before, now });
  }

  #tell(changes: readonly NextHopChange[]): void {
    if (changes.length === 0) return;
    for (const listener of this.#listeners) listener(changes);
    // Last: what the log tells is in force.
    logChanges(changes, this.#log, this.#withoutHop);
  }

  async #use(places: readonly NeighbourPlace[]): Promise<void> {
    if (places.length === 0) return;
    try {
      const refusal = await useNeighbours(places, this.#run);
      const hint = HINTS.find(([words]) => refusal?.includes(words))?.[1];
      this.#said(USING_FAILS, hint === undefined ? refusal : `${refusal} (${hint})`);
    } catch (error) {
      this.#said(USING_FAILS, reasonOf(error));
    }
  }

  /** Logs each new reason for a failure in the background; all of it is tried again. */
  #said(what: string, why: string | undefined): void {
    if (why === this.#complaints.get(what)) return;
    this.#complaints.set(what, why);
    if (why !== undefined) this.#log.warn({ event: 'next_hops_unknown', why }, `${what}: ${why}`);
  }
}

function byAddress(targets: readonly RouteTarget[]): Map<string, Target> {
  const map = new Map<string, Target>();
  for (const { name, address } of targets) {
    const target = map.get(address.text);
    if (target === undefined) map.set(address.text, { address, names: [name] });
    else if (!target.names.includes(name)) target.names.push(name);
  }
  return map;
}
