/**
 * Can this host be a backend? Looks before anything is attached. Each finding says what to do.
 *
 *   error     no agent can start
 *   not_ready an agent starts, and yet packets of a service are not delivered: what is missing may come later
 *   warning   packets are delivered, and what most often keeps a backend from answering all the same
 */

import type { LoadedConfig, PoolConfig, ServiceConfig } from '../config/types.js';
import { type Capability, missingCapabilities } from '../core/capability.js';
import { AnyhopError, type ErrorCode } from '../core/errors.js';
import { listed } from '../core/listed.js';
import type { AttachedXdp } from '../ffi/bpf.js';
import type { IpAddress } from '../packet/address.js';
import type { Link } from '../underlay/link.js';
import { backendAddresses } from './fleet.js';
import { AGENT_PROGRAM } from './program.js';
import type { System } from './system.js';
import { vipsOf } from './tables.js';

export interface Finding {
  readonly level: 'error' | 'not_ready' | 'warning';
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

export interface Leftover extends AttachedXdp {
  /** Behind a link whose pin is there, and not by netlink. */
  readonly isPinned: boolean;
}

export interface Environment {
  readonly interface: string;
  /** 0 when there is no such interface. */
  readonly interfaceIndex: number;
  /** In bytes, at layer 3; 0 when there is no such interface. */
  readonly mtu: number;
  /** `Link.kind` of the interface. */
  readonly kind: string | undefined;
  /** The backends' addresses that are this host's. */
  readonly locals: readonly IpAddress[];
  /** An agent's program that is attached already: this one's own, or left by one that ended without taking it off. */
  readonly leftover: Leftover | undefined;
  readonly findings: readonly Finding[];
}

type Report = (code: ErrorCode, message: string, hint: string) => void;

/** Of an agent, and of its programs. */
export const AGENT_CAPABILITIES: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_BPF', 'CAP_PERFMON'];
/** Addresses in a message. */
const NAMES_MOST = 8;

/** @throws AnyhopError ERR_USAGE when nobody says which */
export function requireInterface({ agent }: LoadedConfig<'agent'>): string {
  if (agent.interface !== undefined) return agent.interface;
  throw new AnyhopError('ERR_USAGE', 'no interface is given', {
    hint: 'set agent.interface in the config, ANYHOP_INTERFACE, or --interface',
  });
}

/**
 * @param own id of the program that the asking agent has attached
 * @throws AnyhopError ERR_USAGE when nobody says which interface, ERR_NATIVE when the native library is not there, ERR_TOOL
 *   when `ip` is not
 */
export async function checkEnvironment(
  config: LoadedConfig<'agent'>,
  system: System,
  own?: number,
): Promise<Environment> {
  const name = requireInterface(config);
  const findings: Finding[] = [];
  const report =
    (level: Finding['level']): Report =>
    (code, message, hint) =>
      findings.push({ level, code, message, hint });
  const [fail, warn] = [report('error'), report('warning')];
  const lack = report('not_ready');

  checkCapabilities(system, fail);
  const links = await system.links();
  const link = links.get(name);
  checkLink(name, link, [...links.keys()], report);
  const locals = checkLocals(config, system, fail);
  await checkVips(config, locals, system, lack);
  checkReversePath(config, name, system, warn);
  if (system.read('/proc/sys/net/core/bpf_jit_enable') === '0') {
    warn(
      'ERR_BPF',
      'the BPF JIT is off: every packet costs several times as much',
      'sysctl -w net.core.bpf_jit_enable=1',
    );
  }
  return {
    interface: name,
    interfaceIndex: link?.index ?? 0,
    mtu: link?.mtu ?? 0,
    kind: link?.kind,
    locals,
    leftover: link && checkAttached(config, link.index, system, fail, own),
    findings,
  };
}

function checkCapabilities(system: System, fail: Report): void {
  const status = system.read('/proc/self/status');
  if (status === undefined) return;
  const missing = missingCapabilities(AGENT_CAPABILITIES, status);
  if (missing.length === 0) return;
  fail(
    'ERR_CAPABILITY',
    `this process lacks ${missing.join(', ')}`,
    `run as root, or grant them (systemd: AmbientCapabilities=${AGENT_CAPABILITIES.join(' ')})`,
  );
}

function checkLink(
  name: string,
  link: Link | undefined,
  all: readonly string[],
  report: (level: Finding['level']) => Report,
): void {
  if (link === undefined) {
    report('error')(
      'ERR_INTERFACE',
      `there is no interface ${name}`,
      `there are: ${[...all].sort().join(', ')}`,
    );
  } else if (!link.isUp) {
    report('not_ready')('ERR_INTERFACE', `${name} is down`, `ip link set dev ${name} up`);
  }
}

/** Those of backends' addresses that are this host's. */
export function localBackends(backends: readonly IpAddress[], system: System): IpAddress[] {
  const own = new Set(system.addresses().map((address) => address.text));
  return backends.filter((address) => own.has(address.text));
}

function checkLocals(config: LoadedConfig<'agent'>, system: System, fail: Report): IpAddress[] {
  const locals = localBackends(backendAddresses(config), system);
  if (locals.length === 0) {
    fail(
      'ERR_ADDRESS',
      'none of the backends in the config has an address of this host',
      `the config has ${some(backendAddresses(config))}; this host has ${some(system.addresses())}`,
    );
  }
  return locals;
}

/** VIPs of the pools that this host is in: packets for others do not come here. */
async function checkVips(
  config: LoadedConfig<'agent'>,
  locals: readonly IpAddress[],
  system: System,
  lack: Report,
): Promise<void> {
  if (config.agent.vipElsewhere) return;
  const vips = vipsOf(servicesAt(config, locals));
  const here = await system.localAmong(vips);
  for (const vip of vips) {
    if (here.has(vip.text)) continue;
    const prefix = `${vip.text}/${vip.family === 4 ? 32 : 128}`;
    lack(
      'ERR_ADDRESS',
      `VIP ${vip.text} is not on this host: packets for it are dropped (drop_vip_not_local)`,
      `ip addr add ${prefix} dev lo${vip.family === 4 ? '' : ' nodad'}, or agent.vip_elsewhere: true where DNAT or a route takes it elsewhere`,
    );
  }
}

/** The services of the pools that one of these addresses is in, or was by the prior state. */
export function servicesAt(
  { pools, services }: LoadedConfig<'agent'>,
  addresses: readonly IpAddress[],
): readonly ServiceConfig[] {
  const own = new Set(addresses.map(({ text }) => text));
  const isHere = ({ backends, prior = [] }: PoolConfig): boolean =>
    [...backends, ...prior].some(({ address }) => own.has(address.text));
  const here = new Set(pools.filter(isHere).map(({ name }) => name));
  return services.filter(({ pool }) => here.has(pool));
}

/** The stricter-looking rule of the kernel: the larger of the two values counts, and 2 is the loose one. */
export function isReversePathStrict(name: string, system: Pick<System, 'read'>): boolean {
  const value = (which: string): number =>
    Number(system.read(`/proc/sys/net/ipv4/conf/${which}/rp_filter`) ?? 0);
  return Math.max(value('all'), value(name)) === 1;
}

function checkReversePath(config: LoadedConfig<'agent'>, name: string, system: System, warn: Report): void {
  if (!config.services.some(({ vip }) => vip.family === 4) || !isReversePathStrict(name, system)) return;
  warn(
    'ERR_INTERFACE',
    `rp_filter is strict on ${name}: packets of clients whose route does not lead out of ${name} are lost`,
    `sysctl -w net.ipv4.conf.${name.replaceAll('.', '/')}.rp_filter=2`,
  );
}

function checkAttached(
  config: LoadedConfig<'agent'>,
  index: number,
  system: System,
  fail: Report,
  own: number | undefined,
): Leftover | undefined {
  const attached = system.attachedXdp(index);
  if (attached !== undefined) {
    const name = requireInterface(config);
    const isPinned = attached.id === system.pinnedProgram(config.agent.bpffs, name, index);
    if (isPinned || attached.id === own || attached.name === AGENT_PROGRAM) return { ...attached, isPinned };
    const off = `ip link set dev ${name} ${attached.mode === 'generic' ? 'xdpgeneric' : 'xdp'} off`;
    fail(
      'ERR_INTERFACE',
      `${name} has an XDP program already: ${attached.name ?? 'name unknown'} (id ${attached.id}, ${attached.mode})`,
      attached.name === undefined
        ? `If an agent left it: one whose agent.bpffs is the same takes it over, and CAP_SYS_ADMIN lets this one see. ` +
            `If nobody needs it: ${off}`
        : `if nobody needs it: ${off}`,
    );
  }
  return undefined;
}

function some(addresses: readonly IpAddress[]): string {
  return listed(addresses, { most: NAMES_MOST, text: ({ text }) => text });
}
