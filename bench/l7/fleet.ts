/**
 * One client, forwarder, proxy host and machine of servers, on two cores:
 *
 *   core 0   client (h2load), router, forwarder, servers (nginx), and anyhop's own processes
 *   core 1   HAProxy with one thread, and what its host receives
 *
 * The router sends packets for the VIPs to the forwarder, or straight to the proxy host: then the agent sees them, and passes them on.
 *
 * In network namespaces of one machine, a packet goes through all other hosts in the name of the program that sends it: half of the
 * time that the kernel gives as HAProxy's would be the work of router, client and forwarder. So for processor time, the router's end of
 * the proxy host's link, and the host's own end, are received by kernel threads of their own ("threaded NAPI"): the first on core 0, and
 * the second, which is the host's receiving with the agent's program in it, on core 1 and counted apart. For latency they are not: a
 * thread has to be woken, which an interrupt has not.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { createL7Lab, type L7Lab, UPSTREAM_PORT } from '../../scripts/lab/l7/lab.js';
import { startNginx } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { HOST_LINK, serverAddresses, VIP4, VIP6 } from '../../scripts/lab/topology.js';
import {
  BATCH_PRIORITY,
  CLIENT_PRIORITY,
  cpuMs,
  FIRST,
  HAPROXY_CPU,
  HAPROXY_PRIORITY,
  letGoFirst,
  moveTo,
  OTHERS_CPU,
  onCore,
  parentOf,
  prioritise,
  RECEIVING_PRIORITY,
} from './cores.js';
import { fewRoutes, OWN_HOST, SERVERS_PREFIX, SHOP_HOST } from './sections.js';

export type Way = 'straight' | 'forwarder';

export interface Used {
  /** Milliseconds of HAProxy's processes. */
  readonly haproxy: number;
  /** Of the host's receiving, the agent's program included; 0 when it is not apart. */
  readonly receiving: number;
}

/** Enough ports for a new connection for each request; those of ended connections are used again after a second. */
const CLIENT_SETTINGS = ['net.ipv4.ip_local_port_range=1024 65535', 'net.ipv4.tcp_tw_reuse=1'];
const STOP_TIMEOUT_MS = 10_000;

export class Fleet {
  readonly lab: L7Lab;
  readonly authority: Authority;
  /** The directory of the frontend `tls`. */
  readonly certificates: string;
  /** `ADDRESS:PORT` of the machine of servers. */
  readonly server: string;
  /** `anyhop l7 run`. */
  #proxy: LabProcess | undefined;
  #receiving: number | undefined;

  private constructor(lab: L7Lab, authority: Authority, server: string) {
    this.lab = lab;
    this.authority = authority;
    this.server = server;
    this.certificates = join(lab.resources.directory, 'certificates');
  }

  static async create(): Promise<Fleet> {
    const lab = await createL7Lab({ forwarders: 1, proxies: 1, servers: [] });
    try {
      const { host4 } = serverAddresses(1);
      const authority = await createAuthority(lab.resources.directory);
      const fleet = new Fleet(lab, authority, `${host4}:${UPSTREAM_PORT}`);
      await fleet.#start();
      return fleet;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { lab, certificates } = this;
    await lab.exec(lab.client.namespace, ['sysctl', '-qw', ...CLIENT_SETTINGS]);
    await this.#startServers();
    mkdirSync(certificates);
    const names = [OWN_HOST, SHOP_HOST, '*.example.com'];
    await this.authority.serverCertificate(join(certificates, 'example.pem'), names);
    lab.configure(fewRoutes(certificates));
    const { agents, forwarders } = await lab.startAll();
    await Promise.all([...agents, ...forwarders].map(({ pid }) => moveTo(pid, OTHERS_CPU)));
    this.#proxy = await lab.startProxy(0, [...(await onCore(HAPROXY_CPU)), ...FIRST]);
    // HAProxy has found one core, so it has one thread; it stays there, and so do its next workers.
    await moveTo(this.anyhop, OTHERS_CPU);
    letGoFirst(this.master);
    for (const pid of [this.master, this.worker]) await prioritise(pid, HAPROXY_PRIORITY);
  }

  async #startServers(): Promise<void> {
    const { lab } = this;
    const machine = await lab.addMachine('servers', serverAddresses(1));
    await lab.exec(machine.namespace, ['ip', 'route', 'add', 'local', SERVERS_PREFIX, 'dev', 'lo']);
    await lab.exec(lab.router, ['ip', 'route', 'add', SERVERS_PREFIX, 'via', machine.host4]);
    const { pid } = await startNginx(lab.resources, machine, [`0.0.0.0:${UPSTREAM_PORT}`]);
    await moveTo(pid, OTHERS_CPU);
    await prioritise(pid, CLIENT_PRIORITY);
  }

  get proxy(): LabProcess {
    return this.#proxy!;
  }

  /** Of `anyhop l7 run`. */
  get anyhop(): number {
    return this.proxy.pid;
  }

  /** Of the HAProxy process that serves. */
  get worker(): number {
    const told = this.proxy.events.findLast(
      ({ event }) => event === 'haproxy_up' || event === 'haproxy_reloaded',
    );
    return Number(told?.['process']);
  }

  get master(): number {
    return parentOf(this.worker);
  }

  /** Which way packets for the VIPs take from now on. */
  async take(way: Way): Promise<void> {
    const { lab } = this;
    if (way === 'forwarder') return lab.routeTo([0]);
    const { host4, host6 } = lab.proxies[0]!;
    await lab.exec(lab.router, ['ip', 'route', 'replace', `${VIP4}/32`, 'via', host4]);
    await lab.exec(lab.router, ['ip', '-6', 'route', 'replace', `${VIP6}/128`, 'via', host6]);
  }

  /** Whether what the proxy host and the router receive from each other is done by threads of its own. */
  async receiveApart(on: boolean): Promise<void> {
    const { lab } = this;
    const proxy = lab.proxies[0]!;
    const ends = [
      { namespace: lab.router, link: lab.client.name, cpu: OTHERS_CPU, priority: BATCH_PRIORITY },
      { namespace: lab.router, link: proxy.name, cpu: OTHERS_CPU, priority: RECEIVING_PRIORITY },
      { namespace: proxy.namespace, link: HOST_LINK, cpu: HAPROXY_CPU, priority: RECEIVING_PRIORITY },
    ];
    this.#receiving = undefined;
    for (const { namespace, link, cpu, priority } of ends) {
      const before = new Set(receivers(link));
      const set = `echo ${on ? 1 : 0} >/sys/class/net/"$0"/threaded`;
      await lab.exec(namespace, ['sh', '-c', set, link]);
      if (!on) continue;
      const [thread, ...more] = receivers(link).filter((pid) => !before.has(pid));
      if (thread === undefined || more.length > 0)
        throw new Error(`${link}: ${more.length === 0 ? 'no thread receives' : 'another lab starts'}`);
      await moveTo(thread, cpu);
      await prioritise(thread, priority);
      if (namespace === proxy.namespace) this.#receiving = thread;
    }
  }

  /** Processor time so far; that of HAProxy since its last reload. */
  used(): Used {
    const receiving = this.#receiving === undefined ? 0 : cpuMs(this.#receiving);
    return { haproxy: cpuMs(this.worker), receiving };
  }

  async close(): Promise<void> {
    // HAProxy ends with it, and not when it is killed.
    await this.#proxy?.stop('SIGINT', STOP_TIMEOUT_MS);
    await this.lab.close();
  }
}

/** Kernel threads that receive for links of this name, in any namespace. */
function receivers(link: string): number[] {
  const name = new RegExp(`^napi/${link}-\\d+$`);
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .map(Number)
    .filter((pid) => {
      try {
        return name.test(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
      } catch {
        return false; // it ended meanwhile
      }
    });
}
