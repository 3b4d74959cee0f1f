/**
 * The lab with layer 7 in it: the backends are proxy hosts, `proxy-1` and so on, and behind the router stand servers with nginx, of
 * which the forwarders know nothing.
 *
 *   client -> router (ECMP) -> forwarders --GRE--> proxy hosts (agent, VIPs on lo) -> router -> servers
 *      ^                                               |
 *      +----------------- answers, directly -----------+
 *
 *   const lab = await createL7Lab({ forwarders: 2, proxies: 2, servers: ['shop-1', 'shop-2'] });
 *   lab.configure({ l7: { key: L7_KEY, frontends: ... } });
 *   await lab.startAll();                      // forwarders and agents
 *   await lab.startProxy(0);
 *
 * The services are those of SERVICES, over the pool `proxies`. Servers listen on UPSTREAM_PORT of `host4` and `host6`.
 */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { EngineChoice } from '#anyhop/config/types.js';
import { inNamespace, run } from '../command.js';
import { createLab, type Lab, PROGRAM } from '../lab.js';
import { nginxDirectory, startNginx } from '../nginx.js';
import type { LabProcess } from '../process.js';
import { backendAddresses, type Host, serverAddresses, VIP4, VIP6 } from '../topology.js';

/** Programs that it needs besides the lab's. */
export const L7_TOOLS = ['haproxy', 'curl', 'openssl'];
export const UPSTREAM_PORT = 8080;
/** Guards nothing outside the lab. */
export const L7_KEY = '00112233445566778899aabbccddeeff'.repeat(2);
/** Name, VIP and port of each layer-4 service. */
export const SERVICES = [
  { name: 'http', vip: VIP4, port: 80 },
  { name: 'https', vip: VIP4, port: 443 },
  { name: 'http6', vip: VIP6, port: 80 },
  { name: 'https6', vip: VIP6, port: 443 },
] as const;
const POOL = 'proxies';
const READY_TIMEOUT_MS = 30_000;
/** A drain that is waited for takes as long as connections last. */
const COMMAND_TIMEOUT_MS = 90_000;

export interface L7LabOptions {
  readonly forwarders: number;
  readonly proxies: number;
  /** Names of machines, of 15 characters at most. */
  readonly servers: readonly string[];
  readonly engine?: EngineChoice;
  /** What the config says of the pool of proxy hosts besides its backends. */
  readonly pool?: Readonly<Record<string, unknown>>;
}

export interface UpstreamServer extends Host {
  /** Its nginx; another one once it was started again. */
  readonly nginx: LabProcess;
  /** Starts its nginx again; resolves when it listens. */
  start(): Promise<void>;
  /** Whether it answers 500 to every request, from now on. */
  setBroken(broken: boolean): void;
}

export interface L7Lab extends Lab {
  /** The backends, under the name that they have here. */
  readonly proxies: readonly Host[];
  readonly upstreamServers: readonly UpstreamServer[];
  /** Writes the section of one proxy host's own config (index from 0), which is otherwise the fleet's; nobody is told. */
  configureProxy(index: number, l7: object): void;
  /**
   * Starts `anyhop l7 run` on a proxy host (index from 0), behind the words of another command if there are some; resolves when it says
   * that it is ready.
   */
  startProxy(index: number, behind?: readonly string[]): Promise<LabProcess>;
  /** Run directory of a proxy host (index from 0). */
  runDirectory(index: number): string;
  /** Runs an `anyhop l7` command on a proxy host (index from 0) to its end; resolves to its standard output. */
  l7(index: number, args: readonly string[]): Promise<string>;
}

export async function createL7Lab(options: L7LabOptions): Promise<L7Lab> {
  const { forwarders, proxies, engine = 'auto', pool = {} } = options;
  const backends = Array.from({ length: proxies }, (_, i) => ({
    name: `proxy-${i + 1}`,
    address: backendAddresses(i + 1).host4,
    agent: true,
  }));
  const services = SERVICES.map((service) => ({
    ...service,
    pool: POOL,
    backends,
    secondChance: 'on' as const,
  }));
  const lab = await createLab({
    forwarders,
    backends: proxies,
    backendRole: 'proxy',
    webServers: false,
    engine,
    services,
    pool,
  });
  try {
    // HAProxy runs as a user of its own, and passes through here to its run directory.
    chmodSync(lab.resources.directory, 0o711);
    const upstreamServers = await Promise.all(
      options.servers.map((name, i) => addServer(lab, name, serverAddresses(i + 1))),
    );
    return { ...lab, ...proxyCommands(lab), proxies: lab.backends, upstreamServers };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

type ProxyCommands = Pick<
  L7Lab,
  'configure' | 'configureProxy' | 'startProxy' | 'runDirectory' | 'l7' | 'close'
>;

function proxyCommands(lab: Lab): ProxyCommands {
  const started: LabProcess[] = [];
  const place = (index: number): string => join(lab.resources.directory, lab.backends[index]!.name);
  const proxyFile = (index: number): string => `${place(index)}.yaml`;
  const argv = (index: number, args: readonly string[]): string[] => {
    const where = ['-c', proxyFile(index), '--run-dir', place(index)];
    return [process.execPath, PROGRAM, 'l7', ...args, ...where];
  };
  const write = (index: number, change: object): void => {
    const fleet = parse(readFileSync(lab.configFile, 'utf8'));
    writeFileSync(proxyFile(index), stringify({ ...fleet, ...change }), { mode: 0o600 });
  };
  return {
    configure(sections) {
      lab.configure(sections);
      for (const index of lab.backends.keys()) write(index, {});
    },
    configureProxy: (index, l7) => write(index, { l7 }),
    runDirectory: (index) => place(index),
    async startProxy(index, behind = []) {
      const { name, namespace } = lab.backends[index]!;
      const started = await lab.resources.startProcess(`anyhop l7 run ${name}`, namespace, [
        ...behind,
        ...argv(index, ['run']),
      ]);
      await started.waitForEvent('ready', READY_TIMEOUT_MS);
      return started;
    },
    l7: (index, args) =>
      run(inNamespace(lab.backends[index]!.namespace, argv(index, args)), { timeoutMs: COMMAND_TIMEOUT_MS }),
    close() {
      // The SIGTERM that follows is its second signal: it ends at once, with its HAProxy.
      for (const { running, pid } of started) if (running) process.kill(pid, 'SIGINT');
      return lab.close();
    },
  };
}

async function addServer(
  lab: Lab,
  name: string,
  addresses: ReturnType<typeof serverAddresses>,
): Promise<UpstreamServer> {
  const host = await lab.addMachine(name, addresses);
  const listen = [`${host.host4}:${UPSTREAM_PORT}`, `[${host.host6}]:${UPSTREAM_PORT}`];
  const start = (): Promise<LabProcess> => startNginx(lab.resources, host, listen);
  let nginx = await start();
  const broken = join(nginxDirectory(lab.resources, host), 'broken');
  return {
    ...host,
    get nginx() {
      return nginx;
    },
    async start() {
      nginx = await start();
    },
    setBroken(on) {
      if (on) writeFileSync(broken, '');
      else rmSync(broken, { force: true });
    },
  };
}
