/** The fleet of the demo: what runs on the machines, and what the events do to it. Machines count from 1, as their names do. */
import { randomBytes } from 'node:crypto';
import type { CounterReport } from '#anyhop/api/api.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { AnnouncedLab } from '../lab/ha/announced.js';
import { FibWatch, hopNames } from '../lab/ha/fib.js';
import { type Lab, PROGRAM } from '../lab/lab.js';
import type { LabProcess } from '../lab/process.js';
import { VIP4, VIP6 } from '../lab/topology.js';
import { startServer } from '../survive/traffic.js';
import { createMachines, type Machines, type Size } from './machines.js';
import { DemoStore } from './store.js';

const EVENTUALLY_MS = 60_000;
const SECRET_BYTES = 32;

/** What `anyhop fleet apply --json` prints of a change that is in force. */
export interface Applied {
  readonly revision: { readonly number: number };
  readonly members: number;
  readonly prepareMs: number;
  readonly waitMs: number;
  readonly switchMs: number;
  readonly late: readonly string[];
}

export class DemoFleet {
  readonly lab: Lab;
  readonly store: DemoStore;
  readonly #members: Machines['members'];
  readonly #announced: AnnouncedLab;
  readonly #fib: FibWatch;
  readonly #hops: ReadonlyMap<string, string>;
  readonly #nodes: LabProcess[] = [];
  /** Those that have ended too. */
  readonly #everStarted: LabProcess[] = [];
  readonly #others: LabProcess[] = [];

  private constructor(machines: Machines, fib: FibWatch, hops: ReadonlyMap<string, string>) {
    this.lab = machines.lab;
    this.store = new DemoStore(machines);
    this.#members = machines.members;
    this.#announced = new AnnouncedLab(this.lab, (index) =>
      machines.members.fileOf(this.lab.forwarders[index]!),
    );
    this.#fib = fib;
    this.#hops = hops;
  }

  /** Resolves when every node and agent waits for the first config. */
  static async start(size: Size): Promise<DemoFleet> {
    const machines = await createMachines(size);
    const { lab } = machines;
    try {
      const fib = await FibWatch.start(lab.resources, lab.router);
      const fleet = new DemoFleet(machines, fib, await hopNames(lab.forwarders));
      await fleet.#start();
      return fleet;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { backends, forwarders } = this.lab;
    const waits = { until: 'fleet_waits' };
    await Promise.all([
      ...backends.map(async (_, index) => this.#others.push(await startServer(this.lab, index))),
      ...backends.map(async (_, index) => this.#others.push(await this.#members.startAgent(index, waits))),
      ...forwarders.map(async (_, index) => {
        this.#took(index, await this.#members.startForwarder(index, waits));
      }),
    ]);
  }

  #took(index: number, node: LabProcess): void {
    this.#nodes[index] = node;
    this.#everStarted.push(node);
  }

  /** Once a config is in force: resolves when the router sends packets to all forwarders. */
  async announce(): Promise<void> {
    const { forwarders } = this.lab;
    const [bird] = await Promise.all([
      this.#announced.startRouter(),
      ...this.#nodes.map((node) => node.waitForEvent('ready', EVENTUALLY_MS)),
    ]);
    await Promise.all(
      forwarders.map(async (_, index) => {
        this.#others.push((await this.#announced.startBird(index + 1)).process);
        this.#others.push(await this.#announced.startAnnouncer(index + 1));
      }),
    );
    await bird.untilEstablished(2 * forwarders.length, EVENTUALLY_MS);
    await this.untilAnnounced();
  }

  /** Waits until the router spreads both VIPs over all forwarders, or all but one. */
  async untilAnnounced({ but }: { readonly but?: number } = {}): Promise<void> {
    const those = this.lab.forwarders.filter((_, index) => index + 1 !== but);
    const all = those.map(({ name }) => name).sort();
    const spread = (vip: string): boolean => this.#namesOf(this.#fib.hops(vip)).join() === all.join();
    await this.#fib.until('as it should be', () => [VIP4, VIP6].every(spread), EVENTUALLY_MS);
  }

  /** Rewrites the config that is to be applied next. */
  get change(): Machines['members']['change'] {
    return this.#members.change;
  }

  /** Puts the config of the file in force. @throws Error with what the command says */
  async apply(why: string): Promise<Applied> {
    return await this.#changed(['fleet', 'apply', this.#members.file, '-m', why]);
  }

  /** `anyhop drain`, which changes the config in force. */
  async drain(backend: string, why: string): Promise<Applied> {
    return await this.#changed(['drain', backend, '-m', why]);
  }

  async rollback(revision: number, why: string): Promise<Applied> {
    return await this.#changed(['fleet', 'rollback', `${revision}`, '-m', why]);
  }

  /** `anyhop fleet rotate-key`, after each machine was given a new secret. */
  async rotateKey(why: string): Promise<Applied> {
    await this.#members.addSecret(randomBytes(SECRET_BYTES).toString('hex'));
    return await this.#changed(['fleet', 'rotate-key', '-m', why]);
  }

  async #changed(command: readonly string[]): Promise<Applied> {
    return JSON.parse(await this.#members.anyhop([...command, '--json']));
  }

  /** Ends a node as a service manager does, and starts it again, with another build if one is named. Resolves when it has an image. */
  async restart(
    forwarder: number,
    { program = PROGRAM, until = 'ready' }: { readonly program?: string; readonly until?: string } = {},
  ): Promise<void> {
    const node = this.#nodes[forwarder - 1]!;
    const { code, signal } = await node.stop('SIGTERM', EVENTUALLY_MS);
    if (code !== 0) throw new Error(`${node.name} ended with ${signal ?? code}\n${node.tail()}`);
    const started = await this.#members.startForwarder(forwarder - 1, { program, until });
    this.#took(forwarder - 1, started);
    await started.waitForEvent('pool', EVENTUALLY_MS);
  }

  /** The digests of the owners that each node has in force, by its name. */
  async digests(): Promise<Map<string, string>> {
    return await this.#askAll('/status', ({ pools }: NodeStatus) =>
      pools.map(({ digests }) => digests.owners).join(),
    );
  }

  /** Names of the forwarders that are not ready. */
  async notReady(): Promise<string[]> {
    const ready = await this.#askAll('/status', ({ readiness }: NodeStatus) => readiness.ready);
    return [...ready].flatMap(([name, isReady]) => (isReady ? [] : [name]));
  }

  /** Packets that each node has forwarded since it was started last, by its name. */
  async forwarded(): Promise<Map<string, number>> {
    return await this.#askAll('/counters', ({ verdicts }: CounterReport) => verdicts['forwarded'] ?? 0);
  }

  /** How often nodes have taken a backend for down since then. None is, ever: their checks had no answer in time. */
  falseDowns(sinceMs: number): number {
    return this.#everStarted.reduce((sum, { events }) => {
      const downs = events.filter(({ event, health, time }) => {
        return event === 'health' && health === 'down' && Date.parse(String(time)) >= sinceMs;
      });
      return sum + downs.length;
    }, 0);
  }

  /** Waits until all nodes but one have logged an event of this name. @returns milliseconds */
  async untilAllSay(event: string, { but }: { readonly but?: number } = {}): Promise<number> {
    const startMs = performance.now();
    const those = this.#nodes.filter((_, index) => index + 1 !== but);
    await Promise.all(those.map((node) => node.waitForEvent(event, EVENTUALLY_MS)));
    return performance.now() - startMs;
  }

  /** The ends of all logs, for an error. */
  tails(): string {
    return [...this.#nodes, ...this.#others].map((each) => each.tail()).join('\n');
  }

  close(): Promise<void> {
    return this.lab.close();
  }

  async #askAll<T, V>(path: string, of: (answer: T) => V): Promise<Map<string, V>> {
    const answers = this.lab.forwarders.map(
      async ({ name }, index) => [name, of((await ask(this.lab.socket(index), path)) as T)] as const,
    );
    return new Map(await Promise.all(answers));
  }

  #namesOf(hops: readonly string[]): string[] {
    return hops.map((hop) => this.#hops.get(hop) ?? hop).sort();
  }
}
