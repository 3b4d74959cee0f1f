/**
 * The lab: a whole anyhop fleet in network namespaces of this machine. See topology.ts for the picture.
 *
 *   const lab = await createLab({ forwarders: 2, backends: 3 });
 *   await lab.startAll();
 *   const answers = await lab.request({ requests: getRequests(VIP4, 80, ...), ... });
 *   await lab.close();
 *
 * Closing removes everything; so does the end of the process, however it comes about (short of SIGKILL: then the next lab
 * does). Needs root and the Debian packages of `scripts/setup.sh lab`.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineChoice } from '#anyhop/config/types.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { Capture } from './capture.js';
import { inNamespace, run } from './command.js';
import { fourMixes, type LabService, writeConfig } from './config.js';
import { installCounters, type PortCounts, readCounters } from './counters.js';
import { removeStaleLabs } from './names.js';
import { startNginx } from './nginx.js';
import type { LabProcess } from './process.js';
import { type HttpAnswer, type HttpPlan, makeRequests } from './requests.js';
import { Resources } from './resources.js';
import {
  addTap,
  addVips,
  backendAddresses,
  CLIENT_MTU,
  clientAddresses,
  connect,
  connectAgain,
  forwarderAddresses,
  HOST_LINK,
  type Host,
  type LinkAddresses,
  prepareNamespace,
  routePlainly,
  routeVips,
  UNDERLAY_MTU,
  VIP4,
  VIP6,
} from './topology.js';

/** The program, as the build makes it. */
export const PROGRAM = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const TOOLS = ['ip', 'nft', 'ethtool', 'sysctl', 'nginx', 'tcpdump', 'ping', 'mount', 'umount'];
/** A busy machine takes long to start several programs at once. */
const READY_TIMEOUT_MS = 30_000;

export interface LabOptions {
  readonly forwarders: number;
  readonly backends: number;
  /** Of the forwarders, or of each; `auto` when not given. */
  readonly engine?: EngineChoice | readonly EngineChoice[];
  /** What the backends' names start with; `web` when not given. */
  readonly backendRole?: string;
  /** Whether the backends run nginx; true when not given. */
  readonly webServers?: boolean;
  /** MTU of the links to forwarders and backends, in bytes; 1600 when not given. */
  readonly underlayMtu?: number;
  /** What the fleet serves; when not given, every mix of inner and outer IP version over all backends. */
  readonly services?: readonly LabService[];
  /** Whether the router has routes to the VIPs from the beginning; true when not given. */
  readonly routed?: boolean;
  /** What the config says of every pool besides its backends. */
  readonly pool?: Readonly<Record<string, unknown>>;
}

/** Whole sections of the config, by name. */
export type LabSections = Readonly<Record<string, unknown>>;

export interface Lab {
  /** Starts the name of everything that the lab makes. */
  readonly name: string;
  /** The fleet's, which the agents read. */
  readonly configFile: string;
  /** The one that a forwarder (index from 0) reads: the fleet's, and what differs from node to node. */
  nodeFile(index: number): string;
  readonly client: Host;
  /** Namespace of the router, whose ports are named like the machines behind them. */
  readonly router: string;
  readonly forwarders: readonly Host[];
  readonly backends: readonly Host[];
  readonly resources: Resources;
  /**
   * Starts `anyhop run` on a forwarder (index from 0), of another build if `program` says so; resolves when it is ready, or has
   * logged another event than `ready`.
   */
  startForwarder(index: number, program?: string, until?: string): Promise<LabProcess>;
  /** Ends what a forwarder's engine (index from 0) still does without its process. */
  stopForwarding(index: number): Promise<void>;
  /** Path of a forwarder's control socket. */
  socket(index: number): string;
  /** Gives a forwarder (index from 0) a second link, by which its packets to the backends leave. */
  connectAgain(index: number): Promise<void>;
  /** Makes a forwarder a plain Linux router that sends all packets for the VIPs to one backend (indexes from 0). */
  routePlainly(forwarder: number, backend: number): Promise<void>;
  /** The backends' web servers, which run from the beginning, if at all. */
  readonly servers: readonly LabProcess[];
  /** Starts the web server of a backend (index from 0) again; resolves when it listens. */
  startServer(index: number): Promise<LabProcess>;
  /** Starts `anyhop agent` on a backend (index from 0); resolves when it says that it is ready. */
  startAgent(index: number): Promise<LabProcess>;
  /** Starts a forwarder and an agent everywhere. */
  startAll(): Promise<{ forwarders: LabProcess[]; agents: LabProcess[] }>;
  /** Writes the configs again, with sections besides those that the lab has; running programs are not told. */
  configure(sections: LabSections): void;
  /** Connects another machine to the router, beside forwarders and backends. */
  addMachine(name: string, addresses: LinkAddresses): Promise<Host>;
  /** Gives the router a port for a virtual machine: a tap device in the router's namespace, counted like the others. */
  addTap(name: string, addresses: LinkAddresses): Promise<void>;
  /** Points the router at these forwarders (indexes from 0) and no others. */
  routeTo(forwarders: readonly number[]): Promise<void>;
  /** HTTP requests from the client. */
  request(plan: HttpPlan, onAnswer?: (answer: HttpAnswer) => void): Promise<HttpAnswer[]>;
  /** What the router counted, by port. */
  counters(): Promise<Map<string, PortCounts>>;
  /** Captures at the router's end of a machine's link. */
  capture(host: Host): Promise<Capture>;
  /** Runs a command inside a namespace to its end; resolves to its standard output. */
  exec(namespace: string, argv: readonly string[]): Promise<string>;
  /** Runs an anyhop command that only computes, as a forwarder (index from 0) would; resolves to its output. */
  anyhop(index: number, args: readonly string[]): Promise<string>;
  /** Ends every process and removes every namespace and file. */
  close(): Promise<void>;
}

/** Why a lab cannot be made here, or undefined when it can. `tools` are programs that the caller needs besides the lab's. */
export function missingForLab(tools: readonly string[] = []): AnyhopError | undefined {
  if (!mayMakeNamespaces()) {
    return new AnyhopError('ERR_CAPABILITY', 'the lab makes network namespaces, which needs root', {
      hint: 'Run it as root, for example with sudo; in a container, with CAP_SYS_ADMIN and CAP_NET_ADMIN.',
    });
  }
  const missing = [...TOOLS, ...tools].filter((tool) => !isInstalled(tool));
  if (missing.length === 0) return undefined;
  return new AnyhopError('ERR_TOOL', `the lab needs programs that are not installed: ${missing.join(', ')}`, {
    hint: 'Run scripts/setup.sh lab l7 ha interop, or install them with your package manager.',
  });
}

/** Makes the machines, links, routes, VIPs and web servers. The anyhop programs are started by the caller. */
export async function createLab(options: LabOptions): Promise<Lab> {
  const missing = missingForLab();
  if (missing !== undefined) throw missing;
  removeStaleLabs();
  const resources = new Resources();
  try {
    return await build(resources, options);
  } catch (error) {
    await resources.close();
    throw error;
  }
}

async function build(resources: Resources, options: LabOptions): Promise<Lab> {
  const host = (name: string, addresses: LinkAddresses): Host => ({
    name,
    namespace: resources.addNamespace(name),
    ...addresses,
  });
  const numbered = (count: number, make: (number: number) => Host): Host[] =>
    Array.from({ length: count }, (_, i) => make(i + 1));
  const router = resources.addNamespace('router');
  const client = host('client', clientAddresses());
  const forwarders = numbered(options.forwarders, (n) => host(`edge-${n}`, forwarderAddresses(n)));
  const backends = numbered(options.backends, (n) =>
    host(`${options.backendRole ?? 'web'}-${n}`, backendAddresses(n)),
  );
  const hosts = [client, ...forwarders, ...backends];

  await Promise.all([
    prepareNamespace(router, { forwards: true }),
    ...hosts.map(({ namespace }) => prepareNamespace(namespace, { forwards: false })),
  ]);
  const underlayMtu = options.underlayMtu ?? UNDERLAY_MTU;
  await Promise.all(hosts.map((each) => connect(each, router, each === client ? CLIENT_MTU : underlayMtu)));
  if (options.routed !== false) await routeVips(router, forwarders);
  await installCounters(
    router,
    hosts.map(({ name }) => name),
  );
  const services = options.services ?? fourMixes(backends);
  const vips = [...new Set([VIP4, VIP6, ...services.map(({ vip }) => vip)])];
  await Promise.all(backends.map((backend) => addVips(backend, vips)));
  const servers =
    options.webServers === false
      ? []
      : await Promise.all(backends.map((backend) => startNginx(resources, backend)));

  const file = (name: string): string => join(resources.directory, name);
  const configFile = file('anyhop.yaml');
  const socket = (index: number): string => file(`${forwarders[index]!.name}.sock`);
  const nodeFile = (index: number): string => file(`${forwarders[index]!.name}.yaml`);
  const { engine = 'auto' } = options;
  const bpffs = resources.bpffs();
  const fleet = { forwarders, services, pool: options.pool };
  const configure = (sections: LabSections): void => {
    const one = typeof engine === 'string' ? engine : 'auto';
    writeConfig(configFile, { ...fleet, sections, node: { engine: one, bpffs } });
    for (const [index, { name }] of forwarders.entries()) {
      const own = { socket: socket(index), state_dir: file(`${name}.state`) };
      const choice = typeof engine === 'string' ? engine : engine[index]!;
      writeConfig(nodeFile(index), { ...fleet, sections, node: { engine: choice, bpffs, ...own } });
    }
  };
  configure({});

  const startReady = async (
    name: string,
    on: Host,
    config: string,
    args: readonly string[],
    program = PROGRAM,
    until = 'ready',
  ): Promise<LabProcess> => {
    const argv = [process.execPath, program, ...args, '-c', config, '--interface', HOST_LINK];
    const started = await resources.startProcess(`${name} ${on.name}`, on.namespace, argv);
    await started.waitForEvent(until, READY_TIMEOUT_MS);
    return started;
  };
  const lab: Lab = {
    name: resources.name,
    configFile,
    nodeFile,
    client,
    router,
    forwarders,
    backends,
    resources,
    startForwarder(index, program, until) {
      const on = forwarders[index]!;
      return startReady('anyhop run', on, nodeFile(index), ['run', ...identity(on)], program, until);
    },
    async stopForwarding(index) {
      const place = ['--interface', HOST_LINK, '--bpffs', bpffs];
      await run(inNamespace(forwarders[index]!.namespace, [process.execPath, PROGRAM, 'stop', ...place]));
    },
    socket,
    connectAgain: (index) => connectAgain(forwarders[index]!, router, underlayMtu),
    servers,
    startServer: (index) => startNginx(resources, backends[index]!),
    routePlainly: (forwarder, backend) => routePlainly(forwarders[forwarder]!, backends[backend]!, router),
    startAgent: (index) => startReady('anyhop agent', backends[index]!, configFile, ['agent']),
    async startAll() {
      const agents = await Promise.all(backends.map((_, index) => lab.startAgent(index)));
      return {
        agents,
        forwarders: await Promise.all(forwarders.map((_, index) => lab.startForwarder(index))),
      };
    },
    configure,
    async addMachine(name, addresses) {
      const machine = host(name, addresses);
      await prepareNamespace(machine.namespace, { forwards: false });
      await connect(machine, router, underlayMtu);
      await installCounters(router, [name]);
      return machine;
    },
    async addTap(name, addresses) {
      await addTap(name, addresses, router, underlayMtu);
      await installCounters(router, [name]);
    },
    routeTo: (indexes) =>
      routeVips(
        router,
        indexes.map((index) => forwarders[index]!),
      ),
    request: (plan, onAnswer) => makeRequests(resources, client, plan, onAnswer),
    counters: () => readCounters(router),
    capture: (host) => Capture.start(resources, router, host),
    exec: (namespace, argv) => run(inNamespace(namespace, argv)),
    anyhop: (index, args) =>
      run([process.execPath, PROGRAM, ...args, '-c', configFile, ...identity(forwarders[index]!)]),
    close: () => resources.close(),
  };
  return lab;
}

/** What differs from forwarder to forwarder and is not in the fleet's config. */
function identity({ name, host4, host6 }: Host): string[] {
  return ['--name', name, '--source', host4, '--source', host6];
}

/** Root in a container may lack what makes it root. Bits as in linux/capability.h. */
function mayMakeNamespaces(): boolean {
  const CAP_NET_ADMIN = 1n << 12n;
  const CAP_SYS_ADMIN = 1n << 21n;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const needed = CAP_NET_ADMIN | CAP_SYS_ADMIN;
  return process.getuid?.() === 0 && (BigInt(`0x${effective ?? 0}`) & needed) === needed;
}

function isInstalled(tool: string): boolean {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
