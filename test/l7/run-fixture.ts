/**
 * One proxy host in a network namespace: `anyhop l7 run` as an operator starts it, servers behind it, and those who ask it. All addresses are
 * on its loopback interface.
 *
 *   203.0.113.10, 2001:db8::10   VIPs, ports 80 and 443       10.2.0.1, 10.2.0.2, ...   servers, port 8080
 *   10.1.0.11                    the host in the underlay     10.0.0.1                  a forwarder
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ask } from '#anyhop/cli/control-client.js';
import type { L7Status, ServerStatus, UpstreamStatus } from '#anyhop/l7/status.js';
import { type Authority, createAuthority } from '../../scripts/lab/certificates.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { type Running, startCall } from '../../scripts/lab/l7/call.js';
import { type CurlAnswer, type CurlRequest, curl } from '../../scripts/lab/l7/curl.js';
import { LOAD, type LoadPlan, type LoadResult } from '../../scripts/lab/l7/load.js';
import { type OddServer, startOddServer } from '../../scripts/lab/l7/odd.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';

export const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
export const VIP4 = '203.0.113.10';
export const VIP6 = '2001:db8::10';
export const HOST = '10.1.0.11';
export const FORWARDER = '10.0.0.1';
export const STRANGER = '10.9.9.9';
export const SERVER_PORT = 8080;
export const HEALTH_PORT = 9612;
export const NAME = 'shop.example.com';
const SERVERS_MAX = 8;
const DEADLINE_MS = 30_000;
const READY_TIMEOUT_MS = 60_000;
const COMMAND_TIMEOUT_MS = 120_000;
const KEY = '0123456789abcdef'.repeat(4);

/** The value of a test's `skip`. */
export const withoutProxyHost: string | false = missingForIsolation('haproxy', 'setpriv', 'curl', 'openssl');

export const serverAddress = (number: number): string => `10.2.0.${number}`;

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Asks again until the answer is neither undefined nor false. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await sleep(50);
  }
}

export class ProxyHost {
  readonly resources: Resources;
  readonly namespace: string;
  readonly authority: Authority;
  /** Of the frontend `web`. */
  readonly certificates: string;
  readonly configFile: string;
  readonly runDirectory: string;
  /** `anyhop l7 run`, once it was started. */
  process!: LabProcess;
  #starts = 0;
  readonly #loads: LabProcess[] = [];

  private constructor(resources: Resources, namespace: string, authority: Authority) {
    this.resources = resources;
    this.namespace = namespace;
    this.authority = authority;
    this.certificates = join(resources.directory, 'certs');
    this.configFile = join(resources.directory, 'anyhop.yaml');
    this.runDirectory = join(resources.directory, 'l7');
  }

  static async create(): Promise<ProxyHost> {
    const resources = new Resources();
    try {
      chmodSync(resources.directory, 0o711); // HAProxy's user passes through
      const namespace = resources.addNamespace('proxy');
      const servers = Array.from({ length: SERVERS_MAX }, (_, i) => serverAddress(i + 1));
      const addresses = [VIP4, HOST, FORWARDER, STRANGER, ...servers].map((address) => `${address}/32`);
      const lines = [
        'link set lo up',
        ...[...addresses, `${VIP6}/128`].map((address) => `addr add ${address} dev lo`),
      ];
      execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
      const host = new ProxyHost(resources, namespace, await createAuthority(resources.directory));
      mkdirSync(host.certificates);
      await host.certify('shop.pem', [NAME, '*.example.com']);
      return host;
    } catch (error) {
      await resources.close();
      throw error;
    }
  }

  /** Ends all, HAProxy too. */
  async close(): Promise<void> {
    await this.kill();
    await this.resources.close();
  }

  /** Ends loads, `anyhop l7 run` and HAProxy at once, if they run, and forgets that the host asked to be drained. */
  async kill(): Promise<void> {
    for (const load of this.#loads.splice(0)) load.kill();
    if (this.process?.running) {
      this.process.kill();
      await this.process.exited;
    }
    for (const pid of this.haproxyPids()) process.kill(pid, 'SIGKILL');
    await eventually('the end of HAProxy', () => this.haproxyPids().length === 0);
    rmSync(this.marks, { recursive: true, force: true });
  }

  /** Where the host's wish to be drained is. */
  get marks(): string {
    return join(this.resources.directory, 'run');
  }

  /** Writes a certificate of the frontend `web`. Resolves to its serial number. */
  certify(file: string, names: readonly string[], days?: number): Promise<string> {
    return this.authority.serverCertificate(join(this.certificates, file), names, days);
  }

  /** Servers 1 to `count`, named `s1` and so on. */
  async startServers(count: number): Promise<OddServer[]> {
    return Promise.all(Array.from({ length: count }, (_, i) => this.startServer(i + 1)));
  }

  startServer(number: number): Promise<OddServer> {
    const plan = { name: `s${number}`, address: serverAddress(number), port: SERVER_PORT };
    return startOddServer(this.resources, { ...plan, protocol: 'http1' }, this.namespace);
  }

  /** Writes the config: the frontend `web` on all VIPs, and these upstreams, to the first of which all goes. */
  configure(l7: Readonly<Record<string, unknown>> & { upstreams: Readonly<Record<string, object>> }): void {
    const web = {
      services: ['https', 'https6'],
      certificates: this.certificates,
      redirect_from: ['http'],
      routes: [{ to: Object.keys(l7.upstreams)[0] }],
      ...(l7['web'] as object | undefined),
    };
    const { upstreams, web: _, ...rest } = l7;
    const service = (name: string, vip: string, port: number): object => ({
      name,
      vip,
      port,
      protocol: 'tcp',
      pool: 'proxies',
      second_chance: 'on',
    });
    const config = {
      agent: { forwarders: [FORWARDER], run_dir: this.marks },
      pools: {
        proxies: {
          health: { kind: 'http', port: HEALTH_PORT, path: '/anyhop-l7' },
          backends: [
            { name: 'proxy-1', address: HOST },
            { name: 'proxy-2', address: '10.1.0.12' },
          ],
        },
      },
      services: [
        service('http', VIP4, 80),
        service('https', VIP4, 443),
        service('https6', VIP6, 443),
        service('spare', VIP4, 8443),
        service('spare6', VIP6, 8443),
      ],
      l7: {
        key: KEY,
        run_dir: this.runDirectory,
        max_connections: 500,
        drain_deadline: '5s',
        frontends: { web },
        upstreams,
        ...rest,
      },
    };
    writeFileSync(this.configFile, stringify(config), { mode: 0o600 });
  }

  /** Starts `anyhop l7 run`; resolves when it is ready. */
  async start({ env = [] as readonly string[], node = [] as readonly string[] } = {}): Promise<LabProcess> {
    await this.begin({ env, node });
    await this.process.waitForEvent('ready', READY_TIMEOUT_MS);
    return this.process;
  }

  /** The same without waiting. Standard output, the access log, is a file of its own each time. */
  async begin({ env = [] as readonly string[], node = [] as readonly string[] } = {}): Promise<LabProcess> {
    this.#starts++;
    const argv = [...node, MAIN, 'l7', 'run', '-c', this.configFile];
    const script = ['sh', '-c', 'f=$1; shift; exec "$@" >"$f"', 'sh', this.accessLog];
    this.process = await this.resources.startProcess('anyhop l7 run', this.namespace, [
      ...script,
      'env',
      ...env,
      process.execPath,
      ...argv,
    ]);
    return this.process;
  }

  /** The file with standard output of the last start. */
  get accessLog(): string {
    return join(this.resources.directory, `access-${this.#starts}.log`);
  }

  /** Runs `anyhop ...` in the namespace to its end. */
  anyhop(...args: string[]): Promise<Ran> {
    const argv = inNamespace(this.namespace, [process.execPath, MAIN, ...args]);
    const [program = '', ...rest] = argv;
    return new Promise((resolve, reject) => {
      const child = spawn(program, rest, {
        env: { ...process.env, TZ: 'UTC' },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: COMMAND_TIMEOUT_MS,
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
  }

  /** `anyhop l7 ...` on this host. */
  l7(...args: string[]): Promise<Ran> {
    return this.anyhop('l7', ...args, '--run-dir', this.runDirectory);
  }

  get controlSocket(): string {
    return join(this.runDirectory, 'control.sock');
  }

  async status(): Promise<L7Status> {
    return (await ask(this.controlSocket, '/l7/status')) as L7Status;
  }

  async upstream(name = 'shop'): Promise<UpstreamStatus> {
    const { upstreams } = await this.status();
    return upstreams.find((one) => one.name === name)!;
  }

  async server(name: string, upstream = 'shop'): Promise<ServerStatus> {
    return (await this.upstream(upstream)).servers.find((one) => one.name === name)!;
  }

  /** A request over HTTPS. */
  get(path = '/', request: Partial<CurlRequest> = {}): Promise<CurlAnswer> {
    const where = { url: `https://${NAME}${path}`, address: VIP4, ca: this.authority.file };
    return curl({ ...where, ...request }, this.namespace);
  }

  /** What a health check hears, by its status: 0 without an answer. */
  async health(from = FORWARDER): Promise<{ readonly status: number; readonly body: string }> {
    const url = `http://${HOST}:${HEALTH_PORT}/anyhop-l7`;
    return curl({ url, options: ['--interface', from], timeoutMs: 3000 }, this.namespace);
  }

  /** Requests over kept connections. */
  async load(plan: Partial<LoadPlan> = {}): Promise<Running<LoadResult>> {
    const target = { address: VIP4, host: NAME, path: '/', cookies: false };
    const whole: LoadPlan = {
      ca: this.authority.file,
      protocol: 'http1',
      targets: [target],
      clients: 10,
      requestsPerSecond: 100,
      timeoutMs: 15_000,
      ...plan,
    };
    const running = await startCall(this.resources, this.namespace, LOAD, whole);
    this.#loads.push(running.process);
    return running;
  }

  /** Has another program listen on a port of all addresses. */
  async occupy(port: number): Promise<LabProcess> {
    const script =
      'require("node:net").createServer().listen({port: +process.argv[1], host: "0.0.0.0"}, () => console.log("listening"))';
    const argv = [process.execPath, '-e', script, `${port}`];
    const started = await this.resources.startProcess('a program', this.namespace, argv);
    await started.waitForLine((line) => line === 'listening', 'listening', READY_TIMEOUT_MS);
    return started;
  }

  /** Masters and workers, of this host alone. */
  haproxyPids(): number[] {
    const pids = execFileSync('ip', ['netns', 'pids', this.namespace], { encoding: 'utf8' });
    return pids
      .split('\n')
      .filter((pid) => pid !== '')
      .map(Number)
      .filter((pid) => programOf(pid)?.endsWith('/haproxy'));
  }

  /** Of the worker that serves. */
  async worker(): Promise<number> {
    return eventually('a worker', async () => (await this.status()).haproxy.pid);
  }

  logged(event: string): readonly Readonly<Record<string, unknown>>[] {
    return this.process.events.filter((one) => one.event === event);
  }
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}
