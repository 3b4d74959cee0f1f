/**
 * The agent's life on one interface: load, attach, count; reload; leave or take off.
 *
 *   interface -> driver -> anyhop_agent -> the host, or another backend    (native/bpf/agent.bpf.c)
 *                             |
 *                 counters, budget: kept                    by whoever comes next (pins.ts)
 *                 who may send, services, peers: its own    full before it is put in force
 *
 * The program outlives this process, because a backend without it is unreachable: whoever comes next, a reload or another
 * agent, loads a program with maps of its own and exchanges the two in one step (attachment.ts), so that each packet meets the one
 * or the other. What was counted goes on.
 */

import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, isSystemError } from '../core/errors.js';
import { AGENT_VERDICTS } from '../core/layout.gen.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { SerialQueue } from '../core/serial-queue.js';
import { VERSION } from '../core/version.js';
import type { BpfObject } from '../ffi/bpf.js';
import type { IpAddress } from '../packet/address.js';
import { isBpffs, makePinDirectory } from '../pins/directory.js';
import { sweep } from '../pins/find.js';
import { type DriverStatistics, lessBaseline, readStatistics } from '../underlay/driver-statistics.js';
import { type InterfaceLock, lockInterface } from '../underlay/lock.js';
import type { Losses } from '../underlay/losses.js';
import { type AgentAttachment, attachAgent } from './attachment.js';
import { Connections } from './connections.js';
import { checkEnvironment, type Environment, localBackends, requireInterface } from './environment.js';
import { backendAddresses, type Fleet, FormerFleets, fleetOf, withFormer } from './fleet.js';
import { allHere, LocalVips } from './local-vips.js';
import {
  AGENT_PINS,
  closeMaps,
  keepMapsPinned,
  openKeptMaps,
  pinKeptMaps,
  removeOthers,
  removePins,
  unpinAll,
} from './pins.js';
import { findPinDirectory } from './place.js';
import { type KeptMaps, keptMapsOf, loadAgentProgram, readVerdicts } from './program.js';
import type { AgentReport } from './report.js';
import { SecondChance } from './second-chance.js';
import { thisSystem } from './system.js';
import { agentTables, vipsOf } from './tables.js';

/** A program with its maps filled, for a config. */
interface Prepared {
  readonly config: LoadedConfig<'agent'>;
  readonly fleet: Fleet;
  readonly environment: Environment;
  readonly program: BpfObject;
  readonly secondChance: SecondChance | undefined;
  /** Undefined where VIPs may be elsewhere. */
  readonly localVips: LocalVips | undefined;
  readonly connections: Connections;
}

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
  #pinProblem: string | undefined;
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
      const swept = directory === undefined ? [] : await sweep(config.agent.bpffs, directory, AGENT_PINS);
      if (swept.length > 0) {
        const text = `removed the pins of interfaces that are gone: ${swept.join(', ')}`;
        log.info({ event: 'swept', directories: swept }, text);
      }
      const baseline = readStatistics(environment.interface);
      const { attachment, inForce } = await begin(config, environment, directory, log);
      return new Agent(log, lock, directory, attachment, baseline, inForce);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** By the config in force, and for a settle time by those before. */
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

  /** Packets by verdict: since the program was put on the interface, whoever ran since then. */
  verdicts(): Record<string, number> {
    return this.#lastVerdicts ?? readVerdicts(this.#inForce.program);
  }

  /** Packets that were delivered to this host, so far. */
  delivered(): number {
    const counts = this.verdicts();
    return DELIVERING.reduce((sum, verdict) => sum + counts[verdict], 0);
  }

  /** What the driver lost since this agent started: it refuses what the program has counted as sent on. */
  losses(): Losses {
    const now = readStatistics(this.environment.interface);
    // Generic XDP sends by the stack, which counts elsewhere.
    const sendFailed =
      this.#attachment.mode === 'native' ? lessBaseline(now, this.#baseline, 'sendFailed') : Number.NaN;
    return { sendFailed, missed: lessBaseline(now, this.#baseline, 'missed') };
  }

  /** @throws AnyhopError ERR_BPF when the kernel does not tell its connections */
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
   * Puts a program for this config in the place of the one in force, without losing a packet. One reload waits for the other.
   * @throws AnyhopError as `start`, and ERR_USAGE when the config names another interface or BPF file system; what is in
   *   force stays then
   */
  reload(config: LoadedConfig<'agent'>): Promise<void> {
    return this.#reloads.add(() => this.#reload(config));
  }

  async #reload(config: LoadedConfig<'agent'>): Promise<void> {
    const former = this.#inForce;
    requireSamePlace(config, former.config);
    const checked = await readyEnvironment(config, this.#attachment.programId);
    const fleet = withFormer(fleetOf(config), [...this.#former.inForce(), fleetOf(former.config)]);
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

  /** Backends' addresses that have come to this host since the program was loaded: it takes nothing for them. */
  newAddresses(): IpAddress[] {
    const { config, environment } = this.#inForce;
    const known = new Set(environment.locals.map(({ text }) => text));
    return localBackends(backendAddresses(config), thisSystem).filter(({ text }) => !known.has(text));
  }

  /** Whether what is in force has something left of a config before whose settle time is over: a reload takes it away. */
  hasExpired(): boolean {
    return this.#former.hasExpired();
  }

  isAttached(): boolean {
    return this.#attachment.isAttached();
  }

  /** Pins again what somebody has removed: it would end with this process. Says so, and once why it cannot. */
  keepPinned(): void {
    const directory = this.#directory;
    const { bpffs } = this.#inForce.config.agent;
    if (directory === undefined || !this.isPinned) return;
    try {
      if (!isBpffs(bpffs, AGENT_PINS))
        throw new AnyhopError('ERR_BPF', `no BPF file system is mounted at ${bpffs}`);
      makePinDirectory(directory, bpffs, AGENT_PINS);
      const hadNone = this.#attachment.keepPinned();
      if (!keepMapsPinned(directory, this.#inForce.program) && !hadNone) return;
      this.#pinProblem = undefined;
      this.#log.warn(
        { event: 'pinned_again', directory },
        `pins were removed from ${directory}; they are there again`,
      );
    } catch (error) {
      if (!(error instanceof AnyhopError) && !isSystemError(error)) throw error;
      const why = reasonOf(error);
      if (why === this.#pinProblem) return;
      this.#pinProblem = why;
      const text = `the pins in ${directory} are gone, and delivering will end with this process: ${why}`;
      this.#log.error({ event: 'pins_lost', directory, why }, text);
    }
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

/** Prepares a program and puts it in force, in the place of what was left. */
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
        'counters start again: those of the program before cannot be gone on with',
      );
    }
    return { attachment, inForce };
  } catch (error) {
    await release(inForce);
    if (directory !== undefined && leftover === undefined) removePins(directory);
    throw error;
  }
}

/** @param kept of the program before; closed here */
async function prepare(
  config: LoadedConfig<'agent'>,
  fleet: Fleet,
  environment: Environment,
  kept: KeptMaps,
  log: Logger,
): Promise<Prepared> {
  const { peers } = fleet;
  let program: BpfObject | undefined;
  let localVips: LocalVips | undefined;
  try {
    program = loadAgentProgram(agentTables(fleet, config.services, environment.locals), peers, { kept });
    localVips = await followVips(program, config, log);
    const secondChance =
      peers.length === 0 ? undefined : await SecondChance.start(program, peers, config, environment, log);
    const connections = new Connections(config.services);
    return { config, fleet, environment, program, secondChance, localVips, connections };
  } catch (error) {
    await localVips?.close();
    program?.close();
    throw error;
  } finally {
    closeMaps(kept);
  }
}

async function followVips(
  program: BpfObject,
  { services, agent }: LoadedConfig<'agent'>,
  log: Logger,
): Promise<LocalVips | undefined> {
  const vips = vipsOf(services);
  if (!agent.vipElsewhere) return LocalVips.start(program, vips, log);
  program.fill('here', allHere(vips.length));
  return undefined;
}

async function release({ secondChance, localVips, program }: Prepared): Promise<void> {
  await Promise.all([secondChance?.close(), localVips?.close()]);
  program.close();
}

function requireSamePlace({ agent: next }: LoadedConfig<'agent'>, { agent }: LoadedConfig<'agent'>): void {
  for (const field of ['interface', 'bpffs'] as const) {
    if (next[field] === agent[field]) continue;
    throw new AnyhopError('ERR_USAGE', `agent.${field} is ${next[field]} now, and was ${agent[field]}`, {
      hint: 'A reload stays where it is. Take the agent off and start it anew: SIGINT, then anyhop agent.',
    });
  }
}

/** NaN, what nobody can tell, is no JSON. */
function known(count: number): number | null {
  return Number.isNaN(count) ? null : count;
}
