/**
 * The fleet of a run: three forwarders, five backends and one that joins later, all with agents. What the events do to it,
 * they do through here.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import type { EngineChoice } from '#anyhop/config/types.js';
import type { ChangeReport } from '#anyhop/control/api.js';
import type { NodeStatus } from '#anyhop/control/status.js';
import { inNamespace, run } from '../lab/command.js';
import type { LabService } from '../lab/config.js';
import { createLab, type Lab } from '../lab/lab.js';
import type { LabProcess } from '../lab/process.js';
import { backendAddresses, VIP4, VIP6 } from '../lab/topology.js';
import { change, statusOf } from './node-client.js';
import { HEALTH_PORT, SERVICE_PORT, startServer } from './traffic.js';

export const FORWARDERS = 3;
/** The last of them is in no forwarder's config at first. */
export const BACKENDS = 6;
const POOL = 'web';
const EVENTUALLY_MS = 15_000;
const POLL_INTERVAL_MS = 50;

export interface FleetOptions {
  readonly engines: readonly EngineChoice[];
  readonly secondChance: 'on' | 'off';
  readonly settleSeconds: number;
}

interface ConfigBackend {
  readonly name: string;
}

export class Fleet {
  readonly lab: Lab;
  /** By index from 0; the process that runs now, or ran last. */
  readonly nodes: LabProcess[] = [];
  readonly agents: LabProcess[] = [];
  readonly servers: LabProcess[] = [];
  readonly #running = new Set<number>();

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  /** Resolves when everything runs and is ready. */
  static async start({ engines, secondChance, settleSeconds }: FleetOptions): Promise<Fleet> {
    const backends = Array.from({ length: BACKENDS }, (_, i) => ({
      name: `web-${i + 1}`,
      address: backendAddresses(i + 1).host4,
      agent: true,
    }));
    const service = { port: SERVICE_PORT, backends, pool: POOL, secondChance };
    const services: LabService[] = [
      { ...service, name: 'echo4', vip: VIP4 },
      { ...service, name: 'echo6', vip: VIP6 },
    ];
    // One good check brings a backend back: a flap must be over well within the settle time.
    const timing = { interval: '250ms', timeout: '200ms', rise: 1, fall: 3 };
    const pool = { settle_time: `${settleSeconds}s`, health: { kind: 'tcp', port: HEALTH_PORT, ...timing } };
    const lab = await createLab({
      forwarders: FORWARDERS,
      backends: BACKENDS,
      engine: engines,
      services,
      pool,
      webServers: false,
    });
    const fleet = new Fleet(lab);
    try {
      fleet.#writeBackends((all) => all.slice(0, -1));
      await Promise.all(
        lab.backends.map(async (_, index) => {
          fleet.servers[index] = await startServer(lab, index);
          fleet.agents[index] = await lab.startAgent(index);
        }),
      );
      await Promise.all(lab.forwarders.map((_, index) => fleet.startNode(index)));
    } catch (error) {
      await lab.close();
      throw error;
    }
    return fleet;
  }

  async startNode(index: number, program?: string): Promise<void> {
    this.nodes[index] = await this.lab.startForwarder(index, program);
    this.#running.add(index);
  }

  /** As a service manager does it; the engine xdp forwards on. */
  async endNode(index: number): Promise<void> {
    this.#running.delete(index);
    const { code, signal } = await this.nodes[index]!.stop();
    if (code !== 0) throw new Error(`${this.nodes[index]!.name} ended with ${signal ?? code}`);
  }

  async killNode(index: number): Promise<void> {
    this.#running.delete(index);
    this.nodes[index]!.kill();
    await this.nodes[index]!.exited;
  }

  /** Says the same to every node that runs. @param body as in src/control/api.ts */
  async tell(path: string, body: object): Promise<ChangeReport[]> {
    return this.#ask((socket) => change(socket, path, body));
  }

  /** Edits the backends in every node's config file, and has those that run read it. `all` are the six, in order. */
  async reload(choose: (all: readonly ConfigBackend[]) => readonly ConfigBackend[]): Promise<ChangeReport[]> {
    this.#writeBackends(choose);
    return this.tell('/reload', {});
  }

  /** Of the nodes that run, by the forwarder's name. */
  async statuses(): Promise<Map<string, NodeStatus>> {
    return new Map((await this.#ask(statusOf)).map((status) => [status.node, status]));
  }

  /** Waits until `wanted` is true of every node that runs. */
  async until(what: string, wanted: (status: NodeStatus) => boolean): Promise<NodeStatus[]> {
    const deadline = Date.now() + EVENTUALLY_MS;
    for (;;) {
      const statuses = [...(await this.statuses()).values()];
      if (statuses.every(wanted)) return statuses;
      if (Date.now() > deadline) throw new Error(`not ${what} within ${EVENTUALLY_MS} ms`);
      await delay(POLL_INTERVAL_MS);
    }
  }

  /** Until no planned change settles or waits. */
  async untilSettled(): Promise<void> {
    await this.until('settled', ({ pools }) =>
      pools.every(({ change: { settlesAt, queued } }) => settlesAt === undefined && queued.length === 0),
    );
  }

  /** Until the nodes see a backend's health so; `only` one of them, if given by its name. */
  async untilHealth(backend: string, wanted: 'up' | 'down', only?: string): Promise<void> {
    await this.until(`${backend} ${wanted}`, ({ node, pools }) => {
      if (only !== undefined && node !== only) return true;
      const found = pools[0]!.backends.find(({ name }) => name === backend);
      return (found?.health === 'up') === (wanted === 'up');
    });
  }

  /** Makes a forwarder alone see a backend's checks fail, or takes that back. */
  async hideBackend(forwarder: number, backend: number, hidden: boolean): Promise<void> {
    const { namespace } = this.lab.forwarders[forwarder]!;
    const { host4 } = this.lab.backends[backend]!;
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

  /** Ends the agents. @returns packets that they sent on to other backends, by their final counters */
  async endAgents(): Promise<number> {
    const counts = await Promise.all(
      this.agents.map(async (agent) => {
        await agent.stop();
        const { verdicts } = await agent.waitForEvent('counters', EVENTUALLY_MS);
        return (verdicts as Readonly<Record<string, number>>)['sent_on'] ?? 0;
      }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async close(): Promise<void> {
    await this.lab.close();
  }

  /** Of every node that runs; one that does not, though it should, is shown by the end of its log. */
  #ask<T>(question: (socket: string) => Promise<T>): Promise<T[]> {
    return Promise.all(
      [...this.#running].map((index) =>
        question(this.lab.socket(index)).catch((error: Error) => {
          throw new Error(`${error.message}\n${this.nodes[index]!.tail()}`);
        }),
      ),
    );
  }

  #writeBackends(choose: (all: readonly ConfigBackend[]) => readonly ConfigBackend[]): void {
    const all = parse(readFileSync(this.lab.configFile, 'utf8')).pools[POOL].backends;
    for (const index of this.lab.forwarders.keys()) {
      const file = this.lab.nodeFile(index);
      const config = parse(readFileSync(file, 'utf8'));
      config.pools[POOL].backends = choose(all);
      writeFileSync(file, stringify(config));
    }
  }
}
