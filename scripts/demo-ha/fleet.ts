/** The fleet of the demo: what runs on the machines, and what the events do to it. Machines count from 1, as their names do. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CounterReport } from '#anyhop/api/api.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { run } from '../lab/command.js';
import { AnnouncedLab } from '../lab/ha/announced.js';
import type { Bird } from '../lab/ha/bird.js';
import { FibWatch, hopNames } from '../lab/ha/fib.js';
import { type Keepalived, startKeepalived } from '../lab/ha/keepalived.js';
import type { Lab } from '../lab/lab.js';
import type { LabProcess } from '../lab/process.js';
import { HOST_LINK, type Host, VIP4, VIP6 } from '../lab/topology.js';
import { startServer, toggleHealth } from '../survive/traffic.js';
import { BACKENDS, createFleetLab, FORWARDERS, GATEWAYS, numbers, PAIR, STOP_DELAY_MS } from './machines.js';

const EVENTUALLY_MS = 60_000;
const POLL_INTERVAL_MS = 50;

/** What runs on a forwarder. */
interface Daemons {
  node?: LabProcess;
  announcer?: LabProcess;
  bird?: Bird;
  keepalived?: Keepalived;
}

export class HaFleet {
  readonly lab: Lab;
  /** Of the router. */
  readonly fib: FibWatch;
  readonly #daemons = new Map<number, Daemons>(numbers(FORWARDERS).map((number) => [number, {}]));
  readonly #announced: AnnouncedLab;
  readonly #servers: LabProcess[] = [];
  readonly #hops: ReadonlyMap<string, string>;
  /** Of the servers' listeners for health checks, which are open at odd ones. */
  #healthChanges = 1;

  private constructor(lab: Lab, fib: FibWatch, hops: ReadonlyMap<string, string>) {
    this.lab = lab;
    this.#announced = new AnnouncedLab(lab, (index) => lab.nodeFile(index));
    this.fib = fib;
    this.#hops = hops;
  }

  /** Resolves when everything runs and the router sends packets to all forwarders. */
  static async start(): Promise<HaFleet> {
    const lab = await createFleetLab();
    try {
      const fleet = new HaFleet(
        lab,
        await FibWatch.start(lab.resources, lab.router),
        await hopNames(lab.forwarders),
      );
      await fleet.#start();
      return fleet;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { lab } = this;
    const bird = await this.#announced.startRouter();
    const everywhere = numbers(FORWARDERS);
    await Promise.all([
      ...everywhere.map((forwarder) => this.startBird(forwarder)),
      ...PAIR.map((forwarder) => this.startKeepalived(forwarder)),
      ...numbers(BACKENDS).map(async (backend) => {
        this.#servers.push(await startServer(lab, backend - 1));
      }),
    ]);
    await Promise.all(lab.backends.map((_, index) => lab.startAgent(index)));
    await Promise.all(everywhere.map((forwarder) => this.startNode(forwarder)));
    await Promise.all(everywhere.map((forwarder) => this.startAnnouncer(forwarder)));
    await bird.untilEstablished(2 * FORWARDERS, EVENTUALLY_MS);
    const all = everywhere.map((forwarder) => this.forwarder(forwarder).name);
    const spread = (vip: string): boolean => this.sendsTo(vip).join() === all.join();
    await this.fib.until('as it should be', () => [VIP4, VIP6].every(spread), EVENTUALLY_MS);
  }

  forwarder(number: number): Host {
    return this.lab.forwarders[number - 1]!;
  }

  /** Names of the forwarders that the router sends a VIP's packets to now, in order. */
  sendsTo(vip: string): string[] {
    return this.namesOf(this.fib.hops(vip));
  }

  /** Names of the forwarders that these next hops, or MAC addresses, are of. */
  namesOf(hops: readonly string[]): string[] {
    return hops.map((hop) => this.#hops.get(hop) ?? hop).sort();
  }

  async startNode(forwarder: number): Promise<void> {
    this.#of(forwarder).node = await this.lab.startForwarder(forwarder - 1);
  }

  async startAnnouncer(forwarder: number): Promise<void> {
    this.#of(forwarder).announcer = await this.#announced.startAnnouncer(forwarder);
  }

  async startBird(forwarder: number): Promise<void> {
    this.#of(forwarder).bird = await this.#announced.startBird(forwarder);
  }

  async startKeepalived(forwarder: number): Promise<void> {
    const host = this.forwarder(forwarder);
    const addresses = [`${GATEWAYS[4]}/24`, `${GATEWAYS[6]}/64`].flatMap((each) => ['--address', each]);
    // With another priority than the other node's, the addresses come back.
    const priority = String(forwarder === PAIR[0] ? 150 : 140);
    const options = ['--interface', HOST_LINK, '--priority', priority, ...addresses];
    const config = await this.#announced.printed(forwarder, ['keepalived', ...options]);
    this.#of(forwarder).keepalived = await startKeepalived(this.lab.resources, host, config);
  }

  /** Asks a node to stop, as a service manager does. The promise is of its end. */
  async stopNode(forwarder: number): Promise<void> {
    const { node } = this.#of(forwarder);
    const { code, signal } = await node!.stop('SIGTERM', STOP_DELAY_MS + EVENTUALLY_MS);
    if (code !== 0) throw new Error(`${node!.name} ended with ${signal ?? code}\n${node!.tail()}`);
  }

  /** Ends what the kernel does without the process, and what is announced. */
  stopForwarding(forwarder: number): Promise<void> {
    return this.lab.stopForwarding(forwarder - 1);
  }

  /** kill -9 of one of its programs. */
  async kill(forwarder: number, what: keyof Daemons): Promise<void> {
    const { keepalived, bird, [what]: daemon } = this.#of(forwarder);
    if (what === 'keepalived') return keepalived!.kill();
    const killed = what === 'bird' ? bird!.process : (daemon as LabProcess);
    killed.kill();
    await killed.exited;
  }

  /** SIGSTOP makes BIRD hang, SIGCONT lets it go on. */
  signalBird(forwarder: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.#of(forwarder).bird!.process.pid, signal);
  }

  /** The interface to the router, down or up again with what it had. */
  async setLink(forwarder: number, state: 'down' | 'up'): Promise<void> {
    const { namespace, router4, router6 } = this.forwarder(forwarder);
    const routes = [`route replace default via ${router4}`, `route replace default via ${router6}`];
    const lines = [`link set ${HOST_LINK} ${state}`, ...(state === 'up' ? routes : [])];
    await run(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Every backend's listener for health checks, closed or open again; the service goes on. */
  async toggleHealth(): Promise<void> {
    this.#healthChanges += 1;
    await Promise.all(this.#servers.map((server) => toggleHealth(server, this.#healthChanges)));
    const wanted = this.#healthChanges % 2 === 0 ? 'down' : 'up';
    await this.#untilStatus(`all backends are ${wanted}`, ({ pools }) =>
      pools.every(({ backends }) => backends.every(({ health }) => health === wanted)),
    );
  }

  /** Packets that each node has forwarded since it was started, by name. */
  async forwarded(): Promise<Map<string, number>> {
    const all = this.lab.forwarders.map(async ({ name }, index) => {
      const { verdicts } = (await ask(this.lab.socket(index), '/counters')) as CounterReport;
      return [name, verdicts['forwarded'] ?? 0] as const;
    });
    return new Map(await Promise.all(all));
  }

  /** The ends of the logs of all that runs on the forwarders, for an error. */
  tails(): string {
    const all = [...this.#daemons.values()].flatMap(({ node, announcer, bird, keepalived }) =>
      [node, announcer, bird?.process, keepalived?.process].filter((each) => each !== undefined),
    );
    return all.map((each) => each.tail()).join('\n');
  }

  close(): Promise<void> {
    return this.lab.close();
  }

  #of(forwarder: number): Daemons {
    return this.#daemons.get(forwarder)!;
  }

  async #untilStatus(what: string, wanted: (status: NodeStatus) => boolean): Promise<void> {
    const deadline = Date.now() + EVENTUALLY_MS;
    for (;;) {
      const sockets = this.lab.forwarders.map((_, index) => this.lab.socket(index));
      const statuses = await Promise.all(sockets.map((socket) => ask(socket, '/status')));
      if ((statuses as NodeStatus[]).every(wanted)) return;
      if (Date.now() > deadline) throw new Error(`not within ${EVENTUALLY_MS} ms: ${what}`);
      await delay(POLL_INTERVAL_MS);
    }
  }
}
