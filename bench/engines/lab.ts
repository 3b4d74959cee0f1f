/**
 * A client, a forwarder and a backend in three namespaces, for what an engine does to round trips under load:
 *
 *     peer: client, router, generator, sink === eth0 === node: the engine, or the kernel's own forwarding
 *       |
 *       +== back ========= eth0 === backend: unwraps, VIP on lo, echo server; answers go straight to the client
 *
 * A request goes client -> node -> peer as a router -> backend, and comes back without the node. Load goes generator -> node ->
 * sink: an XDP program on the peer's eth0 takes it out, so that the router does not slow it down.
 *
 * With the kernel's own forwarding the node routes what is for the VIP back to the peer, and a rule for what comes in from
 * there leads to the backend: the same hops, without a tunnel.
 */
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import type { XdpLink } from '#anyhop/ffi/link.js';
import { PASS_PROGRAM } from '#anyhop/pins/pass.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { attach, inside } from '../../scripts/native/attached.js';
import { DevObject, devObjectPath } from '../../scripts/native/object.js';
import { EchoServer } from '../../scripts/native/round-trip.js';
import { createLink, LINK, NODE4, type NodeLink } from '../../test/engine/link.js';
import { VIP4 } from '../../test/forward/fixture.js';

export const PORT = 53;
export const BACKEND4 = '10.9.0.2';
const ROUTER4 = '10.9.0.1';
const BACK = 'back';
const FROM_NODE_TABLE = 100;
const FORWARDING = [
  'net.ipv4.ip_forward=1',
  'net.ipv4.conf.all.rp_filter=0',
  'net.ipv4.conf.default.rp_filter=0',
];

export type Path = 'direct' | 'node';

export class EnginesLab {
  readonly link: NodeLink;
  readonly #ends: DevObject;
  readonly #pass: DevObject;
  readonly #sunk: BigUint64Array;
  readonly #attached: XdpLink[] = [];
  #nodePass: XdpLink | undefined;
  #echo: EchoServer | undefined;

  private constructor(link: NodeLink) {
    this.link = link;
    this.#ends = new DevObject(devObjectPath('veth'));
    this.#pass = new DevObject(bpfObjectPath('pass'));
    this.#sunk = new BigUint64Array(this.#ends.memory('.bss'));
  }

  static async create(): Promise<EnginesLab> {
    const lab = new EnginesLab(await createLink([4]));
    try {
      await lab.#build();
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async #build(): Promise<void> {
    const { link } = this;
    const backend = link.resources.addNamespace('backend');
    const on = (namespace: string, ...argv: string[]): Promise<string> => run(inNamespace(namespace, argv));
    const sysctl = (namespace: string, ...settings: string[]): Promise<string> =>
      on(namespace, 'sysctl', '-qw', ...settings);
    await sysctl(
      link.node,
      ...FORWARDING,
      `net.ipv4.conf.${LINK}.rp_filter=0`,
      'net.ipv4.conf.all.send_redirects=0',
    );
    await sysctl(link.node, `net.ipv4.conf.${LINK}.send_redirects=0`);
    // What the kernel's own forwarding sends back has the client's address, which is the peer's own.
    await sysctl(
      link.peer,
      ...FORWARDING,
      `net.ipv4.conf.${LINK}.rp_filter=0`,
      `net.ipv4.conf.${LINK}.accept_local=1`,
    );
    await sysctl(backend, 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0');
    await on(
      link.peer,
      'ip',
      'link',
      'add',
      BACK,
      'mtu',
      '2000',
      'type',
      'veth',
      'peer',
      'name',
      LINK,
      'netns',
      backend,
    );
    await on(link.peer, 'ip', 'addr', 'add', `${ROUTER4}/24`, 'dev', BACK);
    await on(link.peer, 'ip', 'link', 'set', BACK, 'up');
    await on(backend, 'ip', 'link', 'set', LINK, 'mtu', '2000', 'up');
    await on(backend, 'ip', 'link', 'set', 'lo', 'up');
    await on(backend, 'ip', 'addr', 'add', `${BACKEND4}/24`, 'dev', LINK);
    await on(backend, 'ip', 'addr', 'add', `${VIP4}/32`, 'dev', 'lo');
    await on(backend, 'ip', 'route', 'add', 'default', 'via', ROUTER4);
    // Frames of local sockets would carry unfinished checksums.
    for (const [namespace, name] of [
      [link.peer, BACK],
      [backend, LINK],
    ]) {
      await on(namespace, 'ethtool', '-K', name, 'tx', 'off', 'gro', 'off');
    }
    const table = String(FROM_NODE_TABLE);
    await on(link.peer, 'ip', 'rule', 'add', 'iif', LINK, 'lookup', table);
    await on(link.peer, 'ip', 'route', 'add', VIP4, 'via', BACKEND4, 'dev', BACK, 'table', table);
    this.#attached.push(
      await inside(link.peer, () => attach(LINK, this.#ends, 'sift')),
      await inside(backend, () => attach(LINK, this.#ends, 'unwrap')),
    );
    this.#echo = await inside(backend, () => new EchoServer(VIP4, PORT));
  }

  /** Which way requests take from now on. */
  async route(path: Path): Promise<void> {
    const via = path === 'direct' ? [BACKEND4, 'dev', BACK] : [NODE4, 'dev', LINK];
    await this.link.onPeer('ip', 'route', 'replace', VIP4, 'via', ...via);
  }

  /** Load arrives on the node's interface only through a program; engines with one of their own have no need of this. */
  async letNodePass(passes: boolean): Promise<void> {
    if (passes) this.#nodePass = await inside(this.link.node, () => attach(LINK, this.#pass, PASS_PROGRAM));
    else this.#nodePass?.descriptor.close();
  }

  /** Packets of the generator that came back from the node. */
  sunk(): number {
    return this.#sunk.reduce((sum, count) => sum + Number(count), 0);
  }

  async close(): Promise<void> {
    this.#echo?.stop();
    for (const one of this.#attached) one.descriptor.close();
    this.#nodePass?.descriptor.close();
    this.#ends.close();
    this.#pass.close();
    await this.link.resources.close();
  }
}
