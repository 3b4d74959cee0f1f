/**
 * One forwarder whose VIPs a router learns by BGP, in a lab: `anyhop run`, `anyhop announce` and a routing daemon on the forwarder, a
 * daemon of the same kind on the router, and what the kernel of the router says of its routes, with the kernel's times.
 */
import { join } from 'node:path';
import { FibWatch } from '../../scripts/lab/ha/fib.js';
import { createLab, type Lab, PROGRAM } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { backendAddresses } from '../../scripts/lab/topology.js';
import type { Daemon } from './daemons.js';

const PORT = 80;
/** All of them, for a route. */
const BACKENDS = '10.1.0.0/16';
const STARTED_TIMEOUT_MS = 15_000;
const ROUTES_TIMEOUT_MS = 30_000;

export class AnnouncingFleet {
  readonly vips: readonly string[];
  readonly #lab: Lab;
  readonly #fib: FibWatch;
  /** Of the forwarder. */
  readonly #own: FibWatch;
  #node: LabProcess | undefined;
  #announcer: LabProcess | undefined;

  private constructor(lab: Lab, fib: FibWatch, own: FibWatch, vips: readonly string[]) {
    this.#lab = lab;
    this.#fib = fib;
    this.#own = own;
    this.vips = vips;
  }

  /** With `anyhop announce`, and without a node. */
  static async create(daemon: Daemon, vipCount: number): Promise<AnnouncingFleet> {
    const vips = Array.from({ length: vipCount }, (_, i) =>
      i % 2 === 0 ? `198.18.${i >> 8}.${i & 255}` : `2001:db8:18::${i.toString(16)}`,
    );
    // Nothing runs there: only the way to it counts.
    const backends = [{ name: 'web-1', address: backendAddresses(1).host4, agent: true }];
    const lab = await createLab({
      forwarders: 1,
      backends: 1,
      engine: 'portable',
      webServers: false,
      services: vips.map((vip, i) => ({ name: `web-${i}`, vip, port: PORT, backends, pool: 'web' })),
    });
    try {
      const socket = join(lab.resources.directory, 'announce.sock');
      lab.configure({ announce: { table: daemon.table, rise: '0s', socket } });
      const fib = await FibWatch.start(lab.resources, lab.router);
      const own = await FibWatch.start(lab.resources, lab.forwarders[0]!.namespace);
      await daemon.start(lab);
      const fleet = new AnnouncingFleet(lab, fib, own, vips);
      await fleet.#startAnnouncer();
      return fleet;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get announcer(): LabProcess {
    return this.#announcer!;
  }

  async #startAnnouncer(): Promise<void> {
    const { name, namespace } = this.#lab.forwarders[0]!;
    const argv = [process.execPath, PROGRAM, 'announce', '-c', this.#lab.nodeFile(0), '--name', name];
    this.#announcer = await this.#lab.resources.startProcess('anyhop announce', namespace, argv);
    await this.#announcer.waitForEvent('following', STARTED_TIMEOUT_MS);
  }

  /** Starts the node and waits until the router has all VIPs. @returns milliseconds from "ready" to the last of the routes */
  async announce(): Promise<number> {
    const before = this.#fib.rows.length;
    this.#node = await this.#lab.startForwarder(0);
    const { time } = await this.#node.waitForEvent('ready', STARTED_TIMEOUT_MS);
    await this.#until('complete', (vip) => this.#fib.hops(vip).length > 0);
    return this.#lastChange(before) - new Date(time as string).getTime();
  }

  /** Ends the node; its engine ends with it. @returns milliseconds from the signal to the last of the routes that go */
  async lose(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    const before = this.#fib.rows.length;
    const at = performance.timeOrigin + performance.now();
    const ended = this.#node!.stop(signal);
    await this.#until('empty', (vip) => this.#fib.hops(vip).length === 0);
    await ended;
    return this.#lastChange(before) - at;
  }

  /**
   * Takes the node's way to the backends away, and gives it back.
   * @returns milliseconds from the kernel's word of that to the last of the routes that go
   */
  async cutOff(): Promise<number> {
    const { namespace } = this.#lab.forwarders[0]!;
    const [before, beforeOwn] = [this.#fib.rows.length, this.#own.rows.length];
    const change = (what: 'add' | 'del'): Promise<string> =>
      this.#lab.exec(namespace, ['ip', 'route', what, 'unreachable', BACKENDS]);
    await change('add');
    await this.#until('empty', (vip) => this.#fib.hops(vip).length === 0);
    const lost = this.#lastChange(before);
    await change('del');
    await this.#until('complete', (vip) => this.#fib.hops(vip).length > 0);
    return lost - this.#own.rows.slice(beforeOwn).find(({ destination }) => destination === BACKENDS)!.atMs;
  }

  close(): Promise<void> {
    return this.#lab.close();
  }

  #until(what: string, holds: (vip: string) => boolean): Promise<void> {
    return this.#fib.until(what, () => this.vips.every(holds), ROUTES_TIMEOUT_MS);
  }

  /** When the last route to a VIP has changed since then. */
  #lastChange(since: number): number {
    const vips = new Set(this.vips);
    return this.#fib.rows.slice(since).findLast(({ destination }) => vips.has(destination))!.atMs;
  }
}
