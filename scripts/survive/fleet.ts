/**
 * The fleet of a run: three forwarders, five backends and one that joins later, all with agents. What the events do to it,
 * they do through here. Machines count from 1, as their names do.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parse } from 'yaml';
import type { ChangeReport } from '#anyhop/api/api.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask, tell } from '#anyhop/cli/control-client.js';
import type { EngineChoice } from '#anyhop/config/types.js';
import { inNamespace, run } from '../lab/command.js';
import { changeConfig } from '../lab/config.js';
import { createLab, type Lab } from '../lab/lab.js';
import type { LabProcess } from '../lab/process.js';
import { backendAddresses, VIP4, VIP6 } from '../lab/topology.js';
import { HEALTH_PORT, SERVICE_PORT, startServer } from './traffic.js';

export const FORWARDERS = 3;
/** All of them run from the beginning; those after AT_FIRST are in no forwarder's config yet. */
const BACKENDS = 6;
const AT_FIRST = 5;
const POOL = 'web';
/** One good check brings a backend back: a flap must be over well within the settle time. */
const CHECK_TIMING = { interval: '250ms', timeout: '200ms', rise: 1, fall: 3 };
const EVENTUALLY_MS = 15_000;
const POLL_INTERVAL_MS = 50;

export interface FleetOptions {
  readonly engines: readonly EngineChoice[];
  readonly secondChance: 'on' | 'off';
  readonly settleSeconds: number;
}

export class Fleet {
  readonly lab: Lab;
  /** By the forwarder's number: the process that runs, or should. */
  readonly #nodes = new Map<number, LabProcess>();
  readonly #agents = new Map<number, LabProcess>();
  readonly #servers = new Map<number, LabProcess>();

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Resolves when everything runs and is ready. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(await createFleetLab(options));
    try {
      const backends = numbers(BACKENDS);
      fleet.#writeBackends(numbers(AT_FIRST));
      await Promise.all(backends.map((backend) => fleet.startServer(backend)));
      await Promise.all(backends.map((backend) => fleet.#startAgent(backend)));
      await Promise.all(numbers(FORWARDERS).map((forwarder) => fleet.startNode(forwarder)));
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  async startNode(forwarder: number, program?: string): Promise<void> {
    this.#nodes.set(forwarder, await this.lab.startForwarder(forwarder - 1, program));
  }

  /** @throws Error when a node's program in the kernel is the one that a process before it has left */
  async requireReplaced(): Promise<void> {
    const statuses = await this.statuses();
    for (const [forwarder, process] of this.#nodes) {
      if (statuses.get(`edge-${forwarder}`)?.engine.name !== 'xdp') continue;
      if (!process.events.some(({ event }) => event === 'replaced'))
        throw new Error(`edge-${forwarder} goes on with the program that was there\n${process.tail()}`);
    }
  }

  /** As a service manager does it; the engine xdp forwards on. */
  async endNode(forwarder: number): Promise<void> {
    const node = this.#takeNode(forwarder);
    const { code, signal } = await node.stop();
    if (code !== 0) throw new Error(`${node.name} ended with ${signal ?? code}\n${node.tail()}`);
  }

  /** kill -9. */
  async killNode(forwarder: number): Promise<void> {
    const node = this.#takeNode(forwarder);
    node.kill();
    await node.exited;
  }

  /** Ends what the kernel does without the process. */
  stopForwarding(forwarder: number): Promise<void> {
    return this.lab.stopForwarding(forwarder - 1);
  }

  /** Points the router at these forwarders; in another order, connections are placed anew. */
  routeTo(forwarders: readonly number[]): Promise<void> {
    return this.lab.routeTo(forwarders.map((forwarder) => forwarder - 1));
  }

  async startServer(backend: number): Promise<void> {
    this.#servers.set(backend, await startServer(this.lab, backend - 1));
  }

  server(backend: number): LabProcess {
    return this.#servers.get(backend)!;
  }

  async restartAgent(backend: number): Promise<void> {
    await this.#agents.get(backend)!.stop();
    await this.#startAgent(backend);
  }

  /** Ends the agents. @returns packets that they sent on to other backends, by their final counters */
  async endAgents(): Promise<number> {
    const counts = await Promise.all(
      [...this.#agents.values()].map(async (agent) => {
        await agent.stop();
        const { verdicts } = await agent.waitForEvent('counters', EVENTUALLY_MS);
        return (verdicts as Readonly<Record<string, number>>)['sent_on'] ?? 0;
      }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Says the same to every node that runs. @param body as in src/api/api.ts */
  tell(path: string, body: object): Promise<ChangeReport[]> {
    return this.#askAll<ChangeReport>((socket) => tell(socket, path, body));
  }

  /**
   * Puts these backends, in this order, into every node's config file, and has those that run read it.
   * @param weights of backends that do not have the usual one
   */
  reload(backends: readonly number[], weights?: Readonly<Record<number, number>>): Promise<ChangeReport[]> {
    this.#writeBackends(backends, weights);
    return this.tell('/reload', {});
  }

  /** Of the nodes that run, by the forwarder's name. */
  async statuses(): Promise<Map<string, NodeStatus>> {
    const statuses = await this.#askAll<NodeStatus>((socket) => ask(socket, '/status'));
    return new Map(statuses.map((status) => [status.node, status]));
  }

  /** Waits until `wanted` is true of every node that runs. */
  async until(what: string, wanted: (status: NodeStatus) => boolean): Promise<void> {
    const deadline = Date.now() + EVENTUALLY_MS;
    while (![...(await this.statuses()).values()].every(wanted)) {
      if (Date.now() > deadline) throw new Error(`not ${what} within ${EVENTUALLY_MS} ms`);
      await delay(POLL_INTERVAL_MS);
    }
  }

  /** Until no planned change settles or waits. */
  untilSettled(): Promise<void> {
    return this.until('settled', ({ pools }) =>
      pools.every(({ change: { settlesAt, queued } }) => settlesAt === undefined && queued.length === 0),
    );
  }

  /** When the first of the waiting changes comes into force on a node; in the past when none waits. */
  async nextDueMs(): Promise<number> {
    const statuses = [...(await this.statuses()).values()];
    const due = statuses.flatMap(({ pools }) =>
      pools[0]!.change.queued.map(({ dueAt }) => Date.parse(dueAt)),
    );
    return due.length === 0 ? 0 : Math.min(...due);
  }

  /** Until the nodes see a backend's health so; `only` one of them, if given by its name. */
  untilHealth(backend: string, wanted: 'up' | 'down', only?: string): Promise<void> {
    return this.until(`${backend} ${wanted}`, ({ node, pools }) => {
      const found = pools[0]!.backends.find(({ name }) => name === backend);
      return (only !== undefined && node !== only) || (found?.health === 'up') === (wanted === 'up');
    });
  }

  /** Makes a forwarder alone see a backend's checks fail, or takes that back. */
  async hideBackend(forwarder: number, backend: number, hidden: boolean): Promise<void> {
    const { namespace } = this.lab.forwarders[forwarder - 1]!;
    const { host4 } = this.lab.backends[backend - 1]!;
    const rules = hidden
      ? `table ip hide {
chain output {
type filter hook output priority filter; policy accept;
ip daddr ${host4} tcp dport ${HEALTH_PORT} reject with tcp reset
}
}
`
      : 'delete table ip hide\n';
    await run(inNamespace(namespace, ['nft', '-f', '-']), { input: rules });
  }

  close(): Promise<void> {
    return this.lab.close();
  }

  #takeNode(forwarder: number): LabProcess {
    const node = this.#nodes.get(forwarder)!;
    this.#nodes.delete(forwarder);
    return node;
  }

  async #startAgent(backend: number): Promise<void> {
    this.#agents.set(backend, await this.lab.startAgent(backend - 1));
  }

  /** Asks every node that runs; one that should and does not answer is shown by the end of its log. */
  #askAll<T>(question: (socket: string) => Promise<unknown>): Promise<T[]> {
    return Promise.all(
      [...this.#nodes].map(async ([forwarder, node]) => {
        try {
          return (await question(this.lab.socket(forwarder - 1))) as T;
        } catch (error) {
          throw new Error(`${(error as Error).message}\n${node.tail()}`, { cause: error });
        }
      }),
    );
  }

  #writeBackends(backends: readonly number[], weights: Readonly<Record<number, number>> = {}): void {
    const all = parse(readFileSync(this.lab.configFile, 'utf8')).pools[POOL].backends;
    for (const index of this.lab.forwarders.keys()) {
      changeConfig(this.lab.nodeFile(index), (config) => {
        config.pools[POOL].backends = backends.map((backend) => {
          const weight = weights[backend];
          return { ...all[backend - 1], ...(weight !== undefined && { weight }) };
        });
      });
    }
  }
}

/** Both VIPs share a pool, whose backends are reached over IPv4: those of the lab's IPv6 underlay have no common /96. */
function createFleetLab({ engines, secondChance, settleSeconds }: FleetOptions): Promise<Lab> {
  const backends = numbers(BACKENDS).map((number) => ({
    name: `web-${number}`,
    address: backendAddresses(number).host4,
    agent: true,
  }));
  const service = { port: SERVICE_PORT, backends, pool: POOL, secondChance };
  return createLab({
    forwarders: FORWARDERS,
    backends: BACKENDS,
    engine: engines,
    services: [
      { ...service, name: 'echo4', vip: VIP4 },
      { ...service, name: 'echo6', vip: VIP6 },
    ],
    pool: {
      settle_time: `${settleSeconds}s`,
      health: { kind: 'tcp', port: HEALTH_PORT, ...CHECK_TIMING },
    },
    webServers: false,
  });
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}
