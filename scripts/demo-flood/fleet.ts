/**
 * The machines of the demo, and what runs on them: the lab's fleet, clients with several addresses, and an attacker behind the
 * same router. What goes back to spoofed sources ends at the router.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DefendReport } from '#anyhop/api/defend.js';
import { ask } from '#anyhop/cli/control-client.js';
import { createLab, type Lab, type LabSections } from '../lab/lab.js';
import { HTTP_PORTS } from '../lab/nginx.js';
import type { LabProcess } from '../lab/process.js';
import { backendAddresses, HOST_LINK, type Host, serverAddresses, VIP4, VIP6 } from '../lab/topology.js';
import { SPOOFED_NETS } from '../native/clients.js';
import { Traffic } from '../survive/traffic.js';

const CLIENTS_PROGRAM = fileURLToPath(new URL('./clients.js', import.meta.url));

export const FORWARDERS = 2;
export const BACKENDS = 3;
const CLIENT_ADDRESSES = 16;
const ATTACKER_NUMBER = 200;
/** Of a busy machine. */
const UNTIL_TIMEOUT_MS = 20_000;
const POLL_MS = 50;
export const PORT: number = HTTP_PORTS[0];

export interface ClientNumbers {
  readonly held: number;
  readonly shortsPerSecond: number;
  readonly askEveryMs: number;
}

export class FloodFleet {
  readonly lab: Lab;
  readonly attacker: Host;
  /** Of the router's port that the attacker is at. */
  readonly routerMac: string;
  readonly nodes: readonly LabProcess[];
  readonly agents: readonly LabProcess[];

  private constructor(
    lab: Lab,
    at: { attacker: Host; routerMac: string; nodes: LabProcess[]; agents: LabProcess[] },
  ) {
    this.lab = lab;
    this.attacker = at.attacker;
    this.routerMac = at.routerMac;
    this.nodes = at.nodes;
    this.agents = at.agents;
  }

  /**
   * Resolves when everything runs. `sections` are those of the config that defend; `kernelCookies`: whether the backends' kernels
   * answer SYNs with cookies of their own once a queue is full; `pool`: what the pool has besides its backends.
   */
  static async start(
    sections: LabSections,
    kernelCookies: boolean,
    pool: Readonly<Record<string, unknown>> = {},
  ): Promise<FloodFleet> {
    const backends = Array.from({ length: BACKENDS }, (_, i) => ({
      name: `web-${i + 1}`,
      address: backendAddresses(i + 1).host4,
      agent: true,
    }));
    const services = [VIP4, VIP6].map((vip) => ({
      name: vip === VIP4 ? 'web' : 'web6',
      vip,
      port: PORT,
      pool: 'web',
      backends,
      secondChance: 'on' as const,
    }));
    const lab = await createLab({
      forwarders: FORWARDERS,
      backends: BACKENDS,
      engine: 'xdp',
      services,
      pool,
    });
    try {
      lab.configure(sections);
      const attacker = await lab.addMachine('attacker', serverAddresses(ATTACKER_NUMBER));
      await prepareRouter(lab);
      await addClientAddresses(lab);
      const sysctl = ['sysctl', '-qw', `net.ipv4.tcp_syncookies=${kernelCookies ? 1 : 0}`];
      await Promise.all(lab.backends.map(({ namespace }) => lab.exec(namespace, sysctl)));
      const links = await lab.exec(lab.router, ['ip', '-json', 'link', 'show', attacker.name]);
      const [{ address }] = JSON.parse(links);
      const { forwarders, agents } = await lab.startAll();
      return new FloodFleet(lab, { attacker, routerMac: address, nodes: forwarders, agents });
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Resolves when every held connection has had an answer. */
  startClients(numbers: ClientNumbers): Promise<Traffic> {
    const addresses = clientAddresses(this.lab.client);
    const plan = { vips: { 4: VIP4, 6: VIP6 }, port: PORT, addresses, ...numbers };
    return Traffic.start(this.lab, plan, CLIENTS_PROGRAM);
  }

  /** Gives the programs other sections, and has the forwarders read them; they do so within some tenths of a second. */
  reconfigure(sections: LabSections): void {
    this.lab.configure(sections);
    for (const { pid } of this.nodes) process.kill(pid, 'SIGHUP');
  }

  /** What each forwarder says of its defence. */
  reports(): Promise<DefendReport[]> {
    return Promise.all(
      this.lab.forwarders.map((_, index) => ask(this.lab.socket(index), '/defend') as Promise<DefendReport>),
    );
  }

  /** Resolves when every forwarder knows of every backend that it takes SYN cookies. */
  async untilCookies(): Promise<void> {
    await this.until(
      'backends take SYN cookies',
      ({ services, withoutCookies }) =>
        services.some(({ cookies }) => cookies !== undefined) && withoutCookies.length === 0,
    );
  }

  /** Resolves when it is so on every forwarder. */
  async until(what: string, is: (report: DefendReport) => boolean): Promise<void> {
    for (const deadline = Date.now() + UNTIL_TIMEOUT_MS; ; await delay(POLL_MS)) {
      const reports = await this.reports();
      if (reports.every(is)) return;
      if (Date.now() > deadline) throw new Error(`not in time: ${what}: ${JSON.stringify(reports)}`);
    }
  }

  /** The ends of what the programs said, for error messages. */
  tails(): string {
    return [...this.nodes, ...this.agents, ...this.lab.servers].map((each) => each.tail()).join('\n');
  }

  close(): Promise<void> {
    return this.lab.close();
  }
}

function clientAddresses({ host4, host6 }: Host): { 4: string[]; 6: string[] } {
  const numbered = (first: string, base: 10 | 16): string[] =>
    Array.from({ length: CLIENT_ADDRESSES }, (_, i) => {
      const cut = first.search(/[0-9a-f]+$/);
      return first.slice(0, cut) + (Number.parseInt(first.slice(cut), base) + i).toString(base);
    });
  return { 4: numbered(host4, 10), 6: numbered(host6, 16) };
}

async function addClientAddresses({ client, exec }: Lab): Promise<void> {
  const { 4: four, 6: six } = clientAddresses(client);
  for (const address of four.slice(1))
    await exec(client.namespace, ['ip', 'addr', 'add', `${address}/24`, 'dev', HOST_LINK]);
  for (const address of six.slice(1))
    await exec(client.namespace, ['ip', 'addr', 'add', `${address}/64`, 'dev', HOST_LINK, 'nodad']);
}

/** Its counters cost more than all else that it does with a packet. */
async function prepareRouter({ router, exec }: Lab): Promise<void> {
  await exec(router, ['nft', 'delete', 'table', 'inet', 'lab']);
  for (const net of Object.values(SPOOFED_NETS)) await exec(router, ['ip', 'route', 'add', 'blackhole', net]);
}
