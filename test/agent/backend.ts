/**
 * A backend for the network tests: two namespaces and a veth between them. `fleet` is everybody else (forwarder and
 * router), of which only the wire is used; `backend` has the VIPs on lo and an echo server on each service.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { XdpLink } from '#anyhop/ffi/link.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { Resources } from '../../scripts/lab/resources.js';
import { NODE_MAC, ROUTER_MAC } from '../packets/build.js';
import { type DecodedFrame, type DecodedPacket, decodeFrame } from '../packets/decode.js';
import { FORMER_KEY, KEY } from './cookie-client.js';
import { CONFIG, SKIP, VIP, VIP6 } from './fixture.js';

/** With a dot, as VLAN interfaces have: a BPF file system takes none in its names. */
export const INTERFACE = 'under.42';
const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const WIRE = fileURLToPath(new URL('./wire.js', import.meta.url));
const ANSWER_TIMEOUT_MS = 20_000;

/** Echoes on UDP 53 and TCP 80 of both VIPs. */
const ECHO_SERVER = `
const { createSocket } = require('node:dgram');
const { createServer } = require('node:net');
let left = 4;
const ready = () => --left === 0 && console.log('listening');
for (const [type, vip] of [['udp4', '${VIP}'], ['udp6', '${VIP6}']]) {
  const socket = createSocket(type);
  socket.on('message', (data, { port, address }) => socket.send(data, port, address)).bind(53, vip, ready);
  createServer((client) => client.on('error', () => {}).pipe(client)).listen(80, vip, ready);
}`;

/** Why the network tests cannot run here, or false. */
export function networkSkip(): string | false {
  if (SKIP !== false) return SKIP;
  try {
    createRequire(import.meta.url).resolve('cap');
    return false;
  } catch {
    return 'npm cap is not installed';
  }
}

export class Backend {
  readonly #resources = new Resources();
  readonly #fleet = this.#resources.addNamespace('fleet');
  readonly #backend = this.#resources.addNamespace('backend');
  readonly config = join(this.#resources.directory, 'agent.yaml');
  #wire: ChildProcess | undefined;
  readonly #received: (DecodedFrame & { packet: DecodedPacket })[] = [];
  readonly #watchers = new Set<() => void>();

  static async make(): Promise<Backend> {
    const made = new Backend();
    try {
      await made.#setUp();
      return made;
    } catch (error) {
      await made.close();
      throw error;
    }
  }

  async #setUp(): Promise<void> {
    this.configure();
    const peer = ['address', NODE_MAC, 'netns', this.#backend];
    const link = ['ip', 'link', 'add', 'name', INTERFACE, 'address', ROUTER_MAC, 'netns', this.#fleet];
    await run([...link, 'type', 'veth', 'peer', 'name', INTERFACE, ...peer]);
    await this.ip('link', 'set', 'dev', 'lo', 'up');
    await this.ip('link', 'set', 'dev', INTERFACE, 'up');
    await run(inNamespace(this.#fleet, ['ip', 'link', 'set', 'dev', INTERFACE, 'up']));
    // Answers go to the fleet's end, which nobody has to resolve.
    await this.ip('addr', 'add', '10.1.0.11/8', 'dev', INTERFACE);
    await this.ip('addr', 'add', 'fd00:1::11/16', 'dev', INTERFACE, 'nodad');
    for (const vip of [VIP, '203.0.113.20']) await this.ip('addr', 'add', `${vip}/32`, 'dev', 'lo');
    await this.ip('addr', 'add', `${VIP6}/128`, 'dev', 'lo', 'nodad');
    // The peers are on the link, and silent: what is sent on to them shows on the wire.
    for (const peer of ['10.1.0.12', 'fd00:1::12'])
      await this.ip('neigh', 'add', peer, 'lladdr', ROUTER_MAC, 'dev', INTERFACE);
    await this.letXdpArrive(true);
    for (const gateway of ['10.0.0.1', 'fd00::1']) {
      await this.ip('neigh', 'add', gateway, 'lladdr', ROUTER_MAC, 'dev', INTERFACE);
      await this.ip('route', 'add', 'default', 'via', gateway, 'dev', INTERFACE);
    }
    // The wire shows answers before any hardware would have filled in their checksums.
    await run(inNamespace(this.#backend, ['ethtool', '-K', INTERFACE, 'tx', 'off']));
    const server = await this.#start('echo', ['-e', ECHO_SERVER]);
    await server.waitForLine((line) => line === 'listening', 'listening', ANSWER_TIMEOUT_MS);
    await this.#openWire();
  }

  async #openWire(): Promise<void> {
    const filter = `ether src ${NODE_MAC} and (tcp or udp or proto 47 or ip6 proto 47)`;
    const [program, ...args] = inNamespace(this.#fleet, [process.execPath, WIRE, INTERFACE, filter]);
    const wire = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#wire = wire;
    await new Promise<void>((resolve, reject) => {
      wire.once('error', reject);
      wire.once('close', () => reject(new Error('the wire did not open')));
      createInterface({ input: wire.stdout }).on('line', (line) => {
        if (line === 'open') return resolve();
        const decoded = decodeFrame(Uint8Array.from(Buffer.from(line, 'hex')));
        const { packet } = decoded;
        if (packet !== undefined) this.#received.push({ ...decoded, packet });
        for (const watcher of this.#watchers) watcher();
      });
    });
  }

  /** The BPF file system that agents pin in. */
  get bpffs(): string {
    return this.#resources.bpffs();
  }

  /** What an agent has pinned, by name. */
  pins(): string[] {
    return readdirSync(this.bpffs, { recursive: true })
      .map(String)
      .flatMap((path) => path.match(/^anyhop-agent\/\d+\/[^/]+\/(.+)$/)?.[1] ?? [])
      .sort();
  }

  /** The path of a pin. */
  #pin(start: string): string {
    const paths = readdirSync(this.bpffs, { recursive: true }).map(String);
    return join(this.bpffs, paths.find((each) => each.includes(`/${start}`))!);
  }

  /** Gives the pinned counters another name, as another version would have them. */
  renameCounters(name: string): void {
    const path = this.#pin('counters-');
    renameSync(path, join(path, '..', name));
  }

  /** Takes the agent's program off by force, as somebody else might: that of XDP, or at tc ingress. */
  detachLink(pin: 'link' | 'ingress' = 'link'): void {
    const link = XdpLink.pinned(this.#pin(pin));
    link.detach();
    link.descriptor.close();
  }

  /** Writes the config. @param change of the fixture's text */
  configure(change: (text: string) => string = (text) => text): void {
    writeFileSync(this.config, change(`${CONFIG}  bpffs: ${this.bpffs}\n`));
  }

  /** The same, with the keys of SYN cookies of the fleet (cookie-client.ts). */
  configureCookies(change: (text: string) => string = (text) => text): void {
    const file = (name: string, key: Uint8Array): string => {
      const path = join(this.#resources.directory, name);
      writeFileSync(path, Buffer.from(key).toString('hex'), { mode: 0o600 });
      return path;
    };
    const section = `defend: {syn_cookies: auto, cookie_key_file: ${file('cookie-key', KEY)}, former_cookie_key_file: ${file('former-cookie-key', FORMER_KEY)}}\n`;
    this.configure((text) => change(text.replace('agent:', `${section}agent:`)));
  }

  /** Runs a program of Node on the backend. */
  startScript(text: string): Promise<LabProcess> {
    return this.#start('script', ['-e', text]);
  }

  /** The same of Python, which opens sockets that Node has not. */
  startPython(text: string): Promise<LabProcess> {
    return this.#resources.startProcess('python', this.#backend, ['python3', '-c', text]);
  }

  #start(name: string, args: readonly string[]): Promise<LabProcess> {
    return this.#resources.startProcess(name, this.#backend, [process.execPath, ...args]);
  }

  /** The namespace of everybody else, whose interface is INTERFACE as well. */
  get fleet(): string {
    return this.#fleet;
  }

  /**
   * Whether the fleet's end has an XDP program, which lets all pass: only then do frames that XDP sends arrive on a veth. With GRO
   * instead, a lone one was seen to lie for seconds, until the next (Linux 6.18).
   */
  async letXdpArrive(on: boolean): Promise<void> {
    const pass = [process.execPath, MAIN, 'pass', '--interface', INTERFACE, ...(on ? [] : ['--stop'])];
    await run(inNamespace(this.#fleet, pass));
  }

  /** Runs a program on the backend. */
  exec(...argv: string[]): Promise<string> {
    return run(inNamespace(this.#backend, argv));
  }

  /** Runs `ip` on the backend. */
  ip(...args: string[]): Promise<string> {
    return this.exec('ip', ...args);
  }

  /** Runs `anyhop agent` on the backend; does not wait for it. */
  startAgent(...options: string[]): Promise<LabProcess> {
    return this.startAgentThrough([], ...options);
  }

  /** The same by a command that starts the one behind it, with fewer capabilities, say. */
  startAgentThrough(through: readonly string[], ...options: string[]): Promise<LabProcess> {
    const argv = [process.execPath, MAIN, 'agent', '-c', this.config, '--interface', INTERFACE, ...options];
    return this.#resources.startProcess('agent', this.#backend, [...through, ...argv]);
  }

  /** The same on the interface of the config. */
  startAgentWithoutInterface(): Promise<LabProcess> {
    return this.#start('agent', [MAIN, 'agent', '-c', this.config]);
  }

  /** Runs `anyhop capture` of the agent's packets. */
  startCapture(...options: string[]): Promise<LabProcess> {
    const place = ['-c', this.config, '--interface', INTERFACE];
    return this.#start('capture', [MAIN, 'capture', '--agent', ...place, ...options]);
  }

  /** Runs it to its end. */
  async agent(...options: string[]): Promise<{ code: number | null; text: string }> {
    const agent = await this.startAgent(...options);
    const { code } = await agent.exited;
    return { code, text: agent.lines.join('\n') };
  }

  /** Sets a kernel parameter on the backend. */
  sysctl(setting: string): Promise<string> {
    return this.exec('sysctl', '-qw', setting);
  }

  /** The XDP program on an interface of the backend, as `ip` tells it; undefined when there is none. */
  async xdp(
    networkInterface: string = INTERFACE,
  ): Promise<{ mode: number; prog: { name: string } } | undefined> {
    return JSON.parse(await this.ip('-j', '-d', 'link', 'show', 'dev', networkInterface))[0].xdp;
  }

  /** A frame from the fleet. */
  send(frame: Uint8Array): void {
    this.#wire?.stdin?.write(`${Buffer.from(frame).toString('hex')}\n`);
  }

  /** The first packet, past or future, that the backend sent and `wanted` accepts; it is then forgotten. */
  async answer(
    what: string,
    wanted: (packet: DecodedPacket) => boolean,
    withinMs = ANSWER_TIMEOUT_MS,
  ): Promise<DecodedPacket> {
    return (await this.#frame(what, ({ packet }) => wanted(packet), withinMs)).packet;
  }

  /** How many packets that `wanted` accepts the backend has sent, without those that `answer` has returned. */
  seen(wanted: (packet: DecodedPacket) => boolean): number {
    return this.#received.filter(({ packet }) => wanted(packet)).length;
  }

  /** The first frame to a MAC address, in the same way. */
  async frameTo(mac: string): Promise<void> {
    await this.#frame(`frame to ${mac}`, ({ dst }) => dst === mac);
  }

  #frame(
    what: string,
    wanted: (frame: DecodedFrame & { packet: DecodedPacket }) => boolean,
    withinMs = ANSWER_TIMEOUT_MS,
  ): Promise<DecodedFrame & { packet: DecodedPacket }> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const index = this.#received.findIndex(wanted);
        if (index < 0) return;
        finish();
        resolve(this.#received.splice(index, 1)[0]);
      };
      const finish = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
      };
      const timer = setTimeout(() => {
        finish();
        reject(new Error(`no ${what} within ${withinMs} ms`));
      }, withinMs);
      this.#watchers.add(look);
      look();
    });
  }

  async close(): Promise<void> {
    this.#wire?.kill();
    await this.#resources.close();
  }
}
