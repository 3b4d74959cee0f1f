/**
 * The agent's life on one interface: load, attach, count, detach.
 *
 * The program belongs to the interface, not to this process. A clean stop takes it off; an agent that is killed leaves
 * it behind, still delivering, because a backend without it is unreachable. The next agent replaces what was left in
 * one step, so that no packet is lost; counters then start from zero. `ip link set dev IF xdp off` (or `xdpgeneric
 * off`) takes off what no agent is to come back for.
 */

import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { attachedXdp, type BpfObject, type XdpMode } from '../ffi/bpf.js';
import { type InterfaceLock, lockInterface } from '../underlay/lock.js';
import { checkEnvironment, type Environment } from './environment.js';
import { peerAddresses } from './peers.js';
import { AGENT_PROGRAM, loadAgentProgram, readVerdicts } from './program.js';
import { SecondChance } from './second-chance.js';
import { thisSystem } from './system.js';
import { agentTables } from './tables.js';

export class Agent {
  readonly environment: Environment;
  readonly mode: XdpMode;
  /** Why the driver refused native XDP; undefined in native mode. */
  readonly refusal: string | undefined;
  readonly #program: BpfObject;
  readonly #lock: InterfaceLock;
  readonly #secondChance: SecondChance | undefined;
  readonly #id: number | undefined;

  private constructor(
    environment: Environment,
    program: BpfObject,
    lock: InterfaceLock,
    secondChance: SecondChance | undefined,
    attachment: { mode: XdpMode; refusal: string | undefined },
  ) {
    this.environment = environment;
    this.mode = attachment.mode;
    this.refusal = attachment.refusal;
    this.#program = program;
    this.#lock = lock;
    this.#secondChance = secondChance;
    this.#id = attachedXdp(environment.interfaceIndex)?.id;
  }

  /**
   * Checks the machine, loads the program, fills its maps and attaches it; from then on packets are delivered.
   * @throws AnyhopError the first error of the environment check; ERR_INTERFACE when another agent runs on the
   *   interface; ERR_BPF when the kernel refuses the program or both modes; ERR_TOOL when `ip` is missing and
   *   a service has second chance
   */
  static async start(config: LoadedConfig<'agent'>, log: Logger): Promise<Agent> {
    const environment = checkEnvironment(config, thisSystem);
    const error = environment.findings.find(({ level }) => level === 'error');
    if (error !== undefined) throw new AnyhopError(error.code, error.message, { hint: error.hint });
    const lock = await lockInterface('agent', environment.interface);
    let program: BpfObject | undefined;
    let secondChance: SecondChance | undefined;
    try {
      const peers = peerAddresses(config);
      program = loadAgentProgram(agentTables(config, environment.locals), peers.length);
      if (peers.length > 0) secondChance = await SecondChance.start(program, peers, environment, log);
      return new Agent(environment, program, lock, secondChance, attach(program, environment));
    } catch (error) {
      await secondChance?.close();
      program?.close();
      await lock.release();
      throw error;
    }
  }

  /** Packets since the start, by verdict. */
  verdicts(): Record<string, number> {
    return readVerdicts(this.#program);
  }

  /** False once somebody took the program off, or the interface is gone. */
  isAttached(): boolean {
    try {
      return attachedXdp(this.environment.interfaceIndex)?.id === this.#id;
    } catch {
      return false;
    }
  }

  /** Takes the program off and gives everything back. Returns undefined, or why the program could not be taken off. */
  async stop(): Promise<string | undefined> {
    await this.#secondChance?.close();
    const problem = this.#program.detach(AGENT_PROGRAM, this.environment.interfaceIndex, this.mode);
    this.#program.close();
    await this.#lock.release();
    return problem;
  }
}

/** Native first; generic where the driver cannot. What an earlier agent left is replaced in the mode that it has. */
function attach(
  program: BpfObject,
  environment: Environment,
): { mode: XdpMode; refusal: string | undefined } {
  const { interfaceIndex, leftover } = environment;
  const modes: readonly XdpMode[] =
    leftover === undefined ? ['native', 'generic'] : leftover.mode === 'generic' ? ['generic'] : ['native'];
  let refusal: string | undefined;
  for (const mode of modes) {
    const problem = program.attach(AGENT_PROGRAM, interfaceIndex, mode, leftover?.id);
    if (problem === undefined) return { mode, refusal };
    refusal = refusal === undefined ? problem : `${refusal}\n${problem}`;
  }
  throw new AnyhopError('ERR_BPF', `cannot attach to ${environment.interface}: ${refusal}`, {
    hint: 'native XDP needs a driver with XDP, LRO off and an MTU of about 3.5 kB at most; generic XDP needs LRO off',
  });
}
