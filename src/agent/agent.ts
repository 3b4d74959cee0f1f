/**
 * The agent's life on one interface: load, attach, count; reload; leave or take off.
 *
 *   interface -> driver -> anyhop_agent -> the host, or another backend    (native/bpf/agent.bpf.c)
 *                             |
 *                 counters, budget: kept                    by the next agent (pins.ts)
 *                 who may send, services, peers: its own    full before it is put in force
 *
 * The program outlives this process, because a backend without it is unreachable. A reload, or the next agent, loads a program with
 * maps of its own and exchanges the two in one step (attachment.ts), so that each packet meets one or the other. Counters go on.
 */

import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { known } from '../core/known.js';
import { AGENT_VERDICTS } from '../core/layout.gen.js';
import type { Logger } from '../core/log.js';
import { SerialQueue } from '../core/serial-queue.js';
import { VERSION } from '../core/version.js';
import type { IpAddress } from '../packet/address.js';
import { sweep } from '../pins/find.js';
import { PinKeeper } from '../pins/keeper.js';
import { type DriverStatistics, lessBaseline, readStatistics } from '../underlay/driver-statistics.js';
import { type InterfaceLock, lockInterface } from '../underlay/lock.js';
import { type AgentAttachment, attachAgent } from './attachment.js';
import { checkEnvironment, type Environment, localBackends, requireInterface } from './environment.js';
import { backendAddresses, type Fleet, FormerFleets, fleetOf, requireFreeIds, withFormer } from './fleet.js';
import {
  AGENT_PINS,
  keepMapsPinned,
  openKeptMaps,
  pinKeptMaps,
  removeOthers,
  removePins,
  unpinAll,
} from './pins.js';
import { findPinDirectory } from './place.js';
import { type Prepared, prepare, release } from './prepared.js';
import { keptMapsOf, readVerdicts } from './program.js';
import type { AgentReport } from './report.js';
import { thisSystem } from './system.js';

const DELIVERING = AGENT_VERDICTS.filter(({ action }) => action === 'deliver').map(({ name }) => name);

export class Agent {
  readonly #log: Logger;
  readonly #lock: InterfaceLock;
  /** Undefined when nothing can be pinned. */
  readonly #directory: string | undefined;
  readonly #attachment: AgentAttachment;
  readonly #startedAt = new Date();
  readonly #former = new FormerFleets();
  /** Of the driver, when the agent started. */
  readonly #baseline: DriverStatistics;
  readonly #pins: PinKeeper;
  #inForce: Prepared;
  readonly #reloads = new SerialQueue();
  #lastVerdicts: Record<string, number> | undefined;

  private constructor(
    log: Logger,
    lock: InterfaceLock,
    directory: string | undefined,
    attachment: AgentAttachment,
    baseline: DriverStatistics,
    inForce: Prepared,
  ) {
    this.#log = log;
    this.#lock = lock;
    this.#directory = directory;
    this.#attachment = attachment;
    this.#baseline = baseline;
    this.#inForce = inForce;
    this.#pins = new PinKeeper(AGENT_PINS, inForce.config.agent.bpffs, log);
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
      const { attachment, inForce } = await begin(config, environment, directory, log);
      return new Agent(log, lock, directory, attachment, baseline, inForce);
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

  /** Whether the next agent finds the link, and the counters. */
  get isPinned(): boolean {
    return this.#attachment.isPinned;
  }

  /** Packets by verdict since a program was first put on the interface, across agents. */
  verdicts(): Record<string, number> {
    return this.#lastVerdicts ?? readVerdicts(this.#inForce.program);
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

  /** @throws AnyhopError ERR_BPF when the kernel does not report its connections */
  report(): AgentReport {
    const { sendFailed, missed } = this.losses();
    return {
      version: VERSION,
      startedAt: this.#startedAt.toISOString(),
      vips: this.#inForce.connections.vips(),
      verdicts: this.verdicts(),
      driver: { sendFailed: known(sendFailed), missed: known(missed) },
    };
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
    requireSamePlace(config, former.config);
    const before = [...this.#former.inForce(), fleetOf(former.config)];
    requireFreeIds(fleetOf(config), before);
    const checked = await readyEnvironment(config, this.#attachment.programId);
    const fleet = withFormer(fleetOf(config), before);
    const environment = { ...checked, locals: localBackends(fleet.backends, thisSystem) };
    const kept = keptMapsOf(former.program);
    const next = await prepare(config, fleet, environment, kept, this.#log);
    try {
      this.#attachment.replace(next.program);
    } catch (error) {
      await release(next);
      throw error;
    }
    this.#inForce = next;
    this.#former.replaced(former.config, config);
    await release(former);
  }

  /** Backends' addresses that came to this host after the program was loaded: it accepts nothing for them. */
  newAddresses(): IpAddress[] {
    const { config, environment } = this.#inForce;
    const known = new Set(environment.locals.map(({ text }) => text));
    return localBackends(backendAddresses(config), thisSystem).filter(({ text }) => !known.has(text));
  }

  /** Whether something of a former config is still in force although its settle time is over: a reload removes it. */
  hasExpired(): boolean {
    return this.#former.hasExpired();
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
      return keepMapsPinned(directory, this.#inForce.program) || hadNone;
    });
  }

  /** Ends this process's part: the program goes on delivering. @returns false when it cannot, and was taken off */
  async leave(): Promise<boolean> {
    await this.#reloads.idle();
    this.keepPinned();
    const stays = this.#attachment.leave();
    await this.#end();
    return stays;
  }

  /** Takes the program off and gives everything back. Returns undefined, or why the program could not be taken off. */
  async stop(): Promise<string | undefined> {
    await this.#reloads.idle();
    const problem = this.#attachment.detach();
    if (this.#directory !== undefined) removePins(this.#directory);
    await this.#end();
    return problem;
  }

  async #end(): Promise<void> {
    this.#lastVerdicts = readVerdicts(this.#inForce.program);
    await release(this.#inForce);
    await this.#lock.release();
  }
}

/** @throws AnyhopError the first error of the environment check */
async function readyEnvironment(config: LoadedConfig<'agent'>, own?: number): Promise<Environment> {
  const environment = await checkEnvironment(config, thisSystem, own);
  const error = environment.findings.find(({ level }) => level === 'error');
  if (error === undefined) return environment;
  throw new AnyhopError(error.code, error.message, { hint: error.hint });
}

/** Prepares a program and attaches it, in place of the one that a former agent left. */
async function begin(
  config: LoadedConfig<'agent'>,
  environment: Environment,
  directory: string | undefined,
  log: Logger,
): Promise<{ attachment: AgentAttachment; inForce: Prepared }> {
  const { leftover, interface: name } = environment;
  if (directory !== undefined && leftover === undefined && unpinAll(directory)) {
    log.warn(
      { event: 'stale_pins', directory },
      `pins without a program on ${name} were removed: ${directory}`,
    );
  }
  const kept = directory === undefined ? {} : openKeptMaps(directory);
  const inForce = await prepare(config, fleetOf(config), environment, kept, log);
  try {
    if (directory !== undefined) pinKeptMaps(directory, inForce.program);
    const attachment = attachAgent(inForce.program, environment, directory);
    if (directory !== undefined) removeOthers(directory);
    if (leftover !== undefined && !inForce.program.reused.has('counters')) {
      log.warn(
        { event: 'counters_dropped' },
        'counters start again: this program cannot continue those of the one before',
      );
    }
    return { attachment, inForce };
  } catch (error) {
    await release(inForce);
    if (directory !== undefined && leftover === undefined) removePins(directory);
    throw error;
  }
}

function requireSamePlace({ agent: next }: LoadedConfig<'agent'>, { agent }: LoadedConfig<'agent'>): void {
  for (const field of ['interface', 'bpffs'] as const) {
    if (next[field] === agent[field]) continue;
    throw new AnyhopError('ERR_USAGE', `agent.${field} is ${next[field]} now, and was ${agent[field]}`, {
      hint: 'A reload stays where it is. Take the agent off and start it again: SIGINT, then anyhop agent.',
    });
  }
}
