/**
 * The agent's life on one interface: load, attach, count; reload; leave or take off.
 *
 *   interface -> driver -> anyhop_agent -> the host, or another backend    (native/bpf/agent.bpf.c)
 *                             |
 *          counters, budget, former fleets: kept            by the next agent (pins.ts)
 *                 who may send, services, peers: its own    full before it is put in force
 *
 * The program outlives this process, because a backend without it is unreachable. A reload, or the next agent, loads a program with
 * maps of its own and exchanges the two in one step (attachment.ts), so that each packet meets one or the other. Counters go on.
 */

import { isDeepStrictEqual } from 'node:util';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, isSystemError } from '../core/errors.js';
import { known } from '../core/known.js';
import { AGENT_VERDICTS } from '../core/layout.gen.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { SerialQueue } from '../core/serial-queue.js';
import { VERSION } from '../core/version.js';
import type { IpAddress } from '../packet/address.js';
import type { Capturable } from '../pins/capture.js';
import { CaptureMaps } from '../pins/capture-maps.js';
import { entries } from '../pins/directory.js';
import { sweep } from '../pins/find.js';
import { PinKeeper } from '../pins/keeper.js';
import { type DriverStatistics, lessBaseline, readStatistics } from '../underlay/driver-statistics.js';
import { type InterfaceLock, lockInterface } from '../underlay/lock.js';
import type { AgentAttachment } from './attachment.js';
import { type Begun, begin, inView, readyEnvironment } from './begin.js';
import type { Cookies } from './cookies/cookies.js';
import { type Asked, DrainWishes } from './drain-wish.js';
import { type Environment, localBackends, requireInterface, servicesAt } from './environment.js';
import { backendAddresses, type Fleet } from './fleet.js';
import type { FleetHistory } from './fleet-history.js';
import { FLEET_PIN, writeFleets } from './fleet-pin.js';
import { AGENT_PINS, keepMapsPinned, removePins } from './pins.js';
import { findPinDirectory } from './place.js';
import { type Prepared, prepare, release, withSameProgram } from './prepared.js';
import { keptMapsOf, readVerdicts } from './program.js';
import type { AgentReport, CookiesReport } from './report.js';
import { thisSystem } from './system.js';
import { vipsOf } from './tables.js';

const DELIVERING = AGENT_VERDICTS.filter(({ action }) => action === 'deliver').map(({ name }) => name);

export class Agent {
  readonly #log: Logger;
  readonly #lock: InterfaceLock;
  /** Undefined when nothing can be pinned. */
  readonly #directory: string | undefined;
  readonly #attachment: AgentAttachment;
  readonly #startedAt = new Date();
  /** Of the driver, when the agent started. */
  readonly #baseline: DriverStatistics;
  readonly #pins: PinKeeper;
  readonly #drainWishes: DrainWishes;
  readonly #cookies: Cookies;
  #inForce: Prepared;
  /** What a config that may come would have in force. */
  #ready: Prepared | undefined;
  #history: FleetHistory;
  readonly #reloads = new SerialQueue();
  #lastVerdicts: Record<string, number> | undefined;

  private constructor(
    log: Logger,
    lock: InterfaceLock,
    directory: string | undefined,
    baseline: DriverStatistics,
    { attachment, inForce, history, cookies }: Begun,
  ) {
    this.#log = log;
    this.#lock = lock;
    this.#directory = directory;
    this.#attachment = attachment;
    this.#baseline = baseline;
    this.#inForce = inForce;
    this.#history = history;
    this.#cookies = cookies;
    this.#pins = new PinKeeper(AGENT_PINS, inForce.config.agent.bpffs, log);
    this.#drainWishes = new DrainWishes(log);
  }

  /**
   * Checks the machine, loads the program, fills its maps and puts it in force; from then on packets are delivered.
   * @throws AnyhopError the first error of the environment check; ERR_INTERFACE when another agent runs on the interface, or
   *   the kernel refuses both modes; ERR_BPF when it refuses the program; ERR_TOOL when `ip` is missing
   */
  static async start(config: LoadedConfig<'agent'>, log: Logger): Promise<Agent> {
    const lock = await lockInterface('agent', requireInterface(config));
    try {
      const environment = await readyEnvironment(config);
      const directory = await findPinDirectory(
        config.agent.bpffs,
        { name: environment.interface, index: environment.interfaceIndex },
        log,
      );
      if (directory !== undefined) await sweep(config.agent.bpffs, directory, AGENT_PINS, log);
      const baseline = readStatistics(environment.interface);
      const begun = await begin(config, environment, directory, log);
      return new Agent(log, lock, directory, baseline, begun);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** By the config in force, and for a settle time also by those before. */
  get fleet(): Fleet {
    return this.#inForce.fleet;
  }

  get environment(): Environment {
    return this.#inForce.environment;
  }

  get attachment(): Pick<AgentAttachment, 'mode' | 'refusal'> {
    return this.#attachment;
  }

  /** The kernel's number of the program in force. */
  get programId(): number {
    return this.#attachment.programId;
  }

  /** Whether the next agent finds the link, and the counters. */
  get isPinned(): boolean {
    return this.#attachment.isPinned;
  }

  /** Packets by verdict since a program was first put on the interface, across agents. */
  verdicts(): Record<string, number> {
    return this.#lastVerdicts ?? readVerdicts(this.#inForce.program);
  }

  /** Packets with SYN cookies of the fleet by what became of them; undefined when this host takes none. */
  cookieCounts(): Record<string, number> | undefined {
    return this.#cookies.counts();
  }

  /** Whether this host takes SYN cookies of the fleet. */
  cookies(): CookiesReport {
    return this.#cookies.report();
  }

  /** To be called each second: sees to it that `cookies` is true. */
  followCookies(): void {
    this.#cookies.look();
  }

  /** The program in force, to be captured. */
  captured(): Capturable {
    return { programId: this.#attachment.programId, maps: CaptureMaps.of(this.#inForce.program) };
  }

  /** Packets that were delivered to this host, so far. */
  delivered(): number {
    const counts = this.verdicts();
    return DELIVERING.reduce((sum, verdict) => sum + counts[verdict], 0);
  }

  /** What the driver lost since this agent started: it may refuse packets that the program counted as sent on. */
  losses(): DriverStatistics {
    const now = readStatistics(this.environment.interface);
    // Generic XDP sends by the stack, which counts elsewhere.
    const sendFailed =
      this.#attachment.mode === 'native' ? lessBaseline(now, this.#baseline, 'sendFailed') : Number.NaN;
    return { sendFailed, missed: lessBaseline(now, this.#baseline, 'missed') };
  }

  /** Where this host asks to be drained. */
  get runDirectory(): string {
    return this.#inForce.config.agent.runDirectory;
  }

  /** Forwarders that have asked lately for the report of an address. */
  forwarders(address: string): number {
    return this.#drainWishes.heard(address);
  }

  /** TCP connections by service. @throws AnyhopError ERR_BPF when the kernel does not report them */
  connections(): ReadonlyMap<string, number> {
    const sums = new Map<string, number>();
    for (const { services } of this.#inForce.connections.vips())
      for (const [name, count] of Object.entries(services)) sums.set(name, (sums.get(name) ?? 0) + count);
    return sums;
  }

  /** @throws AnyhopError ERR_BPF when the kernel does not report its connections */
  report(asked: Asked): AgentReport {
    const { sendFailed, missed } = this.losses();
    return {
      version: VERSION,
      startedAt: this.#startedAt.toISOString(),
      vips: this.#inForce.connections.vips(),
      missingVips: this.#missingVips(),
      verdicts: this.verdicts(),
      driver: { sendFailed: known(sendFailed), missed: known(missed) },
      cookies: this.cookies(),
      ...this.#drainWishes.report(this.runDirectory, asked),
    };
  }

  /** VIPs that backends with addresses of this host serve, and the host does not have. */
  #missingVips(): string[] {
    const { localVips, config, environment } = this.#inForce;
    const missing = localVips?.missing() ?? [];
    if (missing.length === 0) return missing;
    const needed = new Set(vipsOf(servicesAt(config, environment.locals)).map(({ text }) => text));
    return missing.filter((vip) => needed.has(vip));
  }

  /**
   * Makes ready what a reload with this config needs, until the reload comes, or `release`: its program is loaded beside the one in force,
   * and follows the host. A config that needs no other program goes on with the one in force.
   * @throws AnyhopError as `reload`
   */
  prepare(config: LoadedConfig<'agent'>): Promise<void> {
    return this.#reloads.add(async () => {
      await this.#dropReady();
      const history = this.#historyWith(config);
      this.#ready = (await this.#goesOn(config, history)) ?? (await this.#load(config, history));
    });
  }

  /** What was prepared does not come. */
  release(): Promise<void> {
    return this.#reloads.add(() => this.#dropReady());
  }

  /**
   * Replaces the program in force by one for this config, without losing a packet. Reloads wait for one another.
   * @throws AnyhopError as `start`, and ERR_USAGE when the config names another interface or BPF file system; what is in
   *   force stays then
   */
  reload(config: LoadedConfig<'agent'>): Promise<void> {
    return this.#reloads.add(() => this.#reload(config));
  }

  async #reload(config: LoadedConfig<'agent'>): Promise<void> {
    const former = this.#inForce;
    const history = this.#historyWith(config);
    if (!this.#isReadyFor(config, history.fleet())) {
      await this.#dropReady();
      this.#ready = await this.#load(config, history);
    }
    const next = this.#ready!;
    this.#ready = undefined;
    const isOther = next.program !== former.program;
    try {
      this.#remember(history);
      if (isOther) this.#attachment.replace(next.program);
    } catch (error) {
      await this.#drop(next);
      this.#remember(this.#history);
      throw error;
    }
    this.#inForce = next;
    this.#history = history;
    if (!isOther) return;
    this.#cookies.putInForce();
    await release(former);
  }

  /** Whether what is ready is of that config, and of what still holds of those before: it may have waited for long. */
  #isReadyFor(config: LoadedConfig<'agent'>, fleet: Fleet): boolean {
    const ready = this.#ready;
    if (ready?.config !== config) return false;
    return isDeepStrictEqual(ready.fleet, fleet);
  }

  async #dropReady(): Promise<void> {
    if (this.#ready === undefined) return;
    const ready = this.#ready;
    this.#ready = undefined;
    await this.#drop(ready);
  }

  /** Gives up what was prepared, and leaves what is in force. */
  async #drop(prepared: Prepared): Promise<void> {
    if (prepared.program === this.#inForce.program) return;
    this.#cookies.withdraw();
    await release(prepared);
  }

  /** The history with this config in force. @throws AnyhopError when it cannot follow the one in force */
  #historyWith(config: LoadedConfig<'agent'>): FleetHistory {
    requireSamePlace(config, this.#inForce.config);
    const seen = this.#history.withClaims(config);
    if (seen !== this.#history) this.#remember(seen);
    this.#history = seen;
    return seen.next(config);
  }

  /** The config, prepared with the program in force, if that one does for it. What hinders cookies is looked at anew by another one. */
  async #goesOn(config: LoadedConfig<'agent'>, history: FleetHistory): Promise<Prepared | undefined> {
    if (this.#cookies.isHindered) return undefined;
    const environment = await readyEnvironment(config, this.#attachment.programId);
    return withSameProgram(this.#inForce, config, ...inView(history, environment));
  }

  async #load(config: LoadedConfig<'agent'>, history: FleetHistory): Promise<Prepared> {
    const environment = await readyEnvironment(config, this.#attachment.programId);
    const view = inView(history, environment);
    const cookies = this.#cookies.prepare(config);
    try {
      return await prepare(config, ...view, keptMapsOf(this.#inForce.program), cookies, this.#log);
    } catch (error) {
      this.#cookies.withdraw();
      throw error;
    }
  }

  /** For the next agent. Without it, that one takes what former configs had for strange: no reason to stay with an old config. */
  #remember(history: FleetHistory): void {
    const directory = this.#directory;
    if (directory === undefined) return;
    try {
      writeFleets(directory, history);
    } catch (error) {
      if (!(error instanceof AnyhopError) && !isSystemError(error)) throw error;
      const why = reasonOf(error);
      const text = `what former configs had will not survive a restart of the agent: ${why}`;
      this.#log.warn({ event: 'state_not_kept', directory, why }, text);
    }
  }

  /** Backends' addresses that came to this host after the program was loaded: it accepts nothing for them. */
  newAddresses(): IpAddress[] {
    const { config, environment } = this.#inForce;
    const known = new Set(environment.locals.map(({ text }) => text));
    return localBackends(backendAddresses(config), thisSystem).filter(({ text }) => !known.has(text));
  }

  /** Whether something of a former config is still in force although its settle time is over: a reload removes it. */
  hasExpired(): boolean {
    return this.#history.hasExpired();
  }

  isAttached(): boolean {
    return this.#attachment.isAttached();
  }

  /** Pins again what somebody has removed: without pins the program would end with this process. */
  keepPinned(): void {
    const directory = this.#directory;
    if (directory === undefined || !this.isPinned) return;
    this.#pins.keep(directory, () => {
      const hadNone = this.#attachment.keepPinned();
      const hadMaps = !keepMapsPinned(directory, this.#inForce.program);
      const hadFleet = entries(directory).includes(FLEET_PIN);
      if (!hadFleet) writeFleets(directory, this.#history);
      const hadCookies = !this.#cookies.keepPinned();
      return hadNone || !hadMaps || !hadFleet || !hadCookies;
    });
  }

  /** Ends this process's part: the program goes on delivering. @returns false when it cannot, and was taken off */
  async leave(): Promise<boolean> {
    await this.#reloads.idle();
    this.keepPinned();
    const stays = this.#attachment.leave();
    this.#cookies.leave();
    await this.#end();
    return stays;
  }

  /** Takes the program off and gives everything back. Returns undefined, or why the program could not be taken off. */
  async stop(): Promise<string | undefined> {
    await this.#reloads.idle();
    const problem = this.#attachment.detach();
    this.#cookies.stop();
    if (this.#directory !== undefined) removePins(this.#directory);
    await this.#end();
    return problem;
  }

  async #end(): Promise<void> {
    this.#lastVerdicts = readVerdicts(this.#inForce.program);
    await this.#dropReady();
    await release(this.#inForce);
    await this.#lock.release();
  }
}

export function requireSamePlace(
  { agent: next }: LoadedConfig<'agent'>,
  { agent }: LoadedConfig<'agent'>,
): void {
  for (const field of ['interface', 'bpffs'] as const) {
    if (next[field] === agent[field]) continue;
    throw new AnyhopError('ERR_USAGE', `agent.${field} is ${next[field]} now, and was ${agent[field]}`, {
      hint: 'A reload stays where it is. Take the agent off and start it again: SIGINT, then anyhop agent.',
    });
  }
}
