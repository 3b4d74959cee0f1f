/**
 * The lab's network: a router with one port for every machine, as a leaf switch of a routed fabric has.
 *
 *                                    +--------+   10.0.i.0/24       +---------+
 *                                    |        |===================== edge-i   |  forwarders, no ip_forward
 *   +--------+    192.0.2.0/24       |        |   fd00:0:i::/64     +---------+
 *   | client |=======================| router |
 *   +--------+    2001:db8:1::/64    |        |   10.1.j.0/24       +---------+
 *                                    |        |===================== web-j    |  backends, VIPs on lo
 *                                    |        |   fd00:1:j::/64     +---------+
 *                                    |        |
 *                                    |        |   10.2.k.0/24       +---------+
 *                                    |        |===================== any name |  others, if any: servers behind proxies
 *                                    +--------+   fd00:2:k::/64     +---------+
 *
 * The router knows a way to the VIPs over the forwarders alone, all at equal cost. Backends answer from the VIP straight
 * to the router: no forwarder ever sees an answer.
 *
 * What to know:
 *  - The underlay's MTU is 1600, so that a client's 1500 bytes fit with outer IPv6 (40) + GRE and key (8) around them.
 *  - Segmentation and checksum offload are off everywhere: veth hands such frames over unfinished, and libpcap and XDP would
 *    see packets larger than the MTU and checksums that are not there.
 *  - What an XDP program sends over veth arrives only where the other end has an XDP program too: the router's ports have
 *    one that lets everything pass.
 *  - Duplicate address detection is off: addresses are usable at once, and each link has two ends only.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inNamespace, run } from './command.js';

export const VIP4 = '203.0.113.10';
export const VIP6 = '2001:db8:100::10';
export const CLIENT_MTU = 1500;
export const UNDERLAY_MTU = 1600;
/** The name of a machine's only link, on its own side; the router's side is named like the machine. */
export const HOST_LINK = 'eth0';
/** Of a forwarder that has two. */
const SECOND_LINK = 'eth1';

export const PASS_PROGRAM = fileURLToPath(new URL('../../../dist/native/pass.bpf.o', import.meta.url));
/** Unlike those of the router's ports: where the two ends of a veth pair have the same, "running" is told a second late. */
const HOST_LINK_INDEX = 1_000;
/** Of the router's routing tables the one for what a plain router sends back. */
const PLAIN_TABLE = 100;
const RUNNING_TIMEOUT_MS = 5_000;
const POLL_INTERVAL_MS = 10;
const OFFLOADS = ['tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'];

/** A link's two ends: the machine's and the router's. Without prefix length; that is 24 and 64 everywhere. */
export interface LinkAddresses {
  readonly host4: string;
  readonly router4: string;
  readonly host6: string;
  readonly router6: string;
}

/** A machine of the lab. */
export interface Host extends LinkAddresses {
  /** `client`, `edge-1`, `web-1`: also the name of the router's port. */
  readonly name: string;
  readonly namespace: string;
}

export function clientAddresses(): LinkAddresses {
  return {
    host4: '192.0.2.10',
    router4: '192.0.2.1',
    host6: '2001:db8:1::10',
    router6: '2001:db8:1::1',
  };
}

/** `number` counts from 1. */
export function forwarderAddresses(number: number): LinkAddresses {
  return underlay(0, number);
}

/** `number` counts from 1. */
export function backendAddresses(number: number): LinkAddresses {
  return underlay(1, number);
}

/** Of a machine that is neither; `number` counts from 1. */
export function serverAddresses(number: number): LinkAddresses {
  return underlay(2, number);
}

function underlay(segment: number, number: number): LinkAddresses {
  return {
    host4: `10.${segment}.${number}.1`,
    router4: `10.${segment}.${number}.254`,
    host6: `fd00:${segment}:${number}::1`,
    router6: `fd00:${segment}:${number}::fe`,
  };
}

/** Settings that hold for every machine and must precede its links. The router alone forwards. */
export async function prepareNamespace(
  namespace: string,
  { forwards }: { forwards: boolean },
): Promise<void> {
  const on = forwards ? 1 : 0;
  await sysctl(namespace, {
    // Answers come in from where the router would not send to the VIP: strict checks would drop them.
    'net.ipv4.conf.all.rp_filter': 0,
    'net.ipv4.conf.default.rp_filter': 0,
    'net.ipv4.ip_forward': on,
    'net.ipv6.conf.all.forwarding': on,
    'net.ipv6.conf.default.accept_dad': 0,
    'net.ipv6.conf.default.accept_ra': 0,
    // By addresses and ports: the flows of one client go over both forwarders.
    'net.ipv4.fib_multipath_hash_policy': 1,
    'net.ipv6.fib_multipath_hash_policy': 1,
    // Over veth the router is handed the sending socket's hash and takes that for addresses and ports. It is to last for as
    // long as these do: by default a socket makes a new one after each timeout, and its packets change forwarders.
    'net.core.txrehash': 0,
  });
  await ip(namespace, ['link set lo up']);
}

/** Connects a machine to the router by a veth pair and gives it a default route. `mtu` in bytes, for both ends. */
export async function connect(host: Host, router: string, mtu: number): Promise<void> {
  await plug(host, { link: HOST_LINK, index: HOST_LINK_INDEX }, router, mtu);
  await ip(host.namespace, [
    `route add default via ${host.router4}`,
    `route add default via ${host.router6}`,
  ]);
}

/**
 * Connects a forwarder to the router a second time, and routes all backends over that link: what comes in by the first one
 * leaves by the second. The router's port is named like the forwarder with `b` at its end.
 */
export async function connectAgain(forwarder: Host, router: string, mtu: number): Promise<void> {
  const number = Number(forwarder.name.replace(/\D/g, ''));
  const second = { ...forwarder, ...underlay(3, number), name: `${forwarder.name}b` };
  await plug(second, { link: SECOND_LINK, index: HOST_LINK_INDEX + 1 }, router, mtu);
  await ip(forwarder.namespace, [
    `route add 10.1.0.0/16 via ${second.router4}`,
    `route add fd00:1::/32 via ${second.router6}`,
  ]);
}

/** Makes a veth pair between a machine and the router's port of the machine's name. */
async function plug(
  { name, namespace, ...addresses }: Host,
  { link, index }: { link: string; index: number },
  router: string,
  mtu: number,
): Promise<void> {
  await ip(router, [
    `link add ${name} mtu ${mtu} type veth peer name ${link} index ${index} mtu ${mtu} netns ${namespace}`,
    ...routerEnd({ name, ...addresses }),
    `link set dev ${name} xdp obj ${PASS_PROGRAM} sec xdp`,
  ]);
  await ip(namespace, [
    `addr add ${addresses.host4}/24 dev ${link}`,
    `addr add ${addresses.host6}/64 dev ${link} nodad`,
    `link set ${link} up`,
  ]);
  // After the program, which switches GRO on.
  await run(inNamespace(router, ['ethtool', '-K', name, ...OFFLOADS]));
  await run(inNamespace(namespace, ['ethtool', '-K', link, ...OFFLOADS]));
  await running(namespace, link);
}

/** Programs do not see the addresses of an interface before it is running. */
async function running(namespace: string, link: string): Promise<void> {
  const deadline = Date.now() + RUNNING_TIMEOUT_MS;
  const show = ['ip', '-n', namespace, 'link', 'show', 'dev', link];
  while (!(await run(show)).includes('state UP')) {
    if (Date.now() > deadline) throw new Error(`${namespace}: ${link} does not come up`);
    await delay(POLL_INTERVAL_MS);
  }
}

/** Gives the router a port whose other end is a virtual machine's network card. */
export async function addTap(
  name: string,
  addresses: LinkAddresses,
  router: string,
  mtu: number,
): Promise<void> {
  await ip(router, [
    `tuntap add dev ${name} mode tap`,
    `link set ${name} mtu ${mtu}`,
    ...routerEnd({ name, ...addresses }),
  ]);
}

function routerEnd({ name, router4, router6 }: LinkAddresses & { name: string }): string[] {
  return [
    `addr add ${router4}/24 dev ${name}`,
    `addr add ${router6}/64 dev ${name} nodad`,
    `link set ${name} up`,
  ];
}

/** Puts the VIPs on a backend's loopback, where its server finds them and nothing announces them. */
export async function addVips(backend: Host, vips: readonly string[]): Promise<void> {
  await sysctl(backend.namespace, {
    // Where VIP and underlay share a segment, these keep a backend from answering ARP for the VIP.
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
  });
  await ip(
    backend.namespace,
    vips.map((vip) => `addr add ${vip} dev lo noprefixroute${vip.includes(':') ? ' nodad' : ''}`),
  );
}

/** Points the router's equal-cost routes to the VIPs at these forwarders. */
export async function routeVips(router: string, forwarders: readonly LinkAddresses[]): Promise<void> {
  const hops = (address: (forwarder: LinkAddresses) => string): string =>
    forwarders.map((forwarder) => `nexthop via ${address(forwarder)}`).join(' ');
  await ip(router, [
    `route replace ${VIP4}/32 ${hops((forwarder) => forwarder.host4)}`,
    `route replace ${VIP6}/128 ${hops((forwarder) => forwarder.host6)}`,
  ]);
}

/**
 * Makes a machine forward packets for the VIPs as any Linux router would, to be measured against a forwarder: they take the
 * same way to one backend, but nothing is wrapped around them.
 */
export async function routePlainly(forwarder: Host, backend: LinkAddresses, router: string): Promise<void> {
  await sysctl(forwarder.namespace, {
    'net.ipv4.ip_forward': 1,
    'net.ipv6.conf.all.forwarding': 1,
    // They leave by the port that they came in by.
    'net.ipv4.conf.all.send_redirects': 0,
    [`net.ipv4.conf.${HOST_LINK}.send_redirects`]: 0,
  });
  // The router must not send them back to where they come from.
  const rule = `rule add iif ${forwarder.name} lookup ${PLAIN_TABLE}`;
  await ip(router, [rule, `route replace ${VIP4}/32 via ${backend.host4} table ${PLAIN_TABLE}`]);
  await run(['ip', '-6', '-n', router, '-batch', '-'], {
    input: `${rule}\nroute replace ${VIP6}/128 via ${backend.host6} table ${PLAIN_TABLE}\n`,
  });
}

/** Runs lines of `ip` in a namespace, as one batch. */
async function ip(namespace: string, lines: readonly string[]): Promise<void> {
  await run(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

async function sysctl(namespace: string, settings: Readonly<Record<string, number>>): Promise<void> {
  const pairs = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  await run(inNamespace(namespace, ['sysctl', '-qw', ...pairs]));
}
