/**
 * What keeps a host from taking SYN cookies of the fleet, as far as the host can be asked: its kernel, its settings, its services. Who
 * believes that it takes them answers SYNs in its name, so each reason counts at once.
 */
import { readFileSync } from 'node:fs';
import type { LoadedConfig } from '../../config/types.js';
import { AnyhopError } from '../../core/errors.js';
import { listed } from '../../core/listed.js';
import { reasonOf } from '../../core/reason.js';
import { kernelHasFunction } from '../../ffi/kernel-types.js';
import { type Listener, mptcpListeners } from '../../ffi/listeners.js';
import { addressFromBytes, type IpAddress } from '../../packet/address.js';
import type { Finding } from '../environment.js';
import { cookieKeysOf, wantsCookies } from './keys.js';

/** What is asked of the machine, so that the checks can be tried on machines that are not there. */
export interface CookieHost {
  /** The trimmed text of a file under /proc; undefined when it cannot be read. */
  read(path: string): string | undefined;
  /** @throws AnyhopError ERR_BPF when the kernel does not describe itself */
  hasFunction(name: string): boolean;
  /** @throws AnyhopError ERR_BPF when the kernel cannot be asked */
  mptcpListeners(): Listener[];
}

export const thisCookieHost: CookieHost = {
  read(path) {
    try {
      return readFileSync(path, 'latin1').trim();
    } catch {
      return undefined;
    }
  },
  hasFunction: (name) => kernelHasFunction(name),
  mptcpListeners,
};

/** Of the config of an agent, what this looks at. */
export type CookieConfig = Pick<LoadedConfig<'agent'>, 'agent' | 'defend' | 'services'>;

export interface Obstacle {
  readonly why: string;
  readonly hint: string;
}

const FUNCTION = 'bpf_sk_assign_tcp_reqsk';
const SERVICES_NAMED = 3;

/** Settings without which the kernel refuses what a forwarder has agreed on with a client, or all cookies; the last one is of conntrack, for
 * which the end of a handshake whose SYN it has not seen is invalid. */
const SETTINGS = [
  'ipv4.tcp_syncookies',
  'ipv4.tcp_timestamps',
  'ipv4.tcp_sack',
  'ipv4.tcp_window_scaling',
  'netfilter.nf_conntrack_tcp_loose',
] as const;

/** What holds until the config or the kernel is another one; undefined when nothing is in the way. */
export function lastingObstacle(config: CookieConfig, host: CookieHost): Obstacle | undefined {
  if (!wantsCookies(config))
    return {
      why: 'its config has no defend.syn_cookies',
      hint: 'Give nodes and agents the same section defend, or the agents defend.cookie_key_file.',
    };
  if (cookieKeysOf(config).length === 0)
    return {
      why: 'it has no key of SYN cookies',
      hint: 'Set defend.cookie_key_file on nodes and agents, or give this host the secret of the fleet.',
    };
  if (config.agent.vipElsewhere)
    return {
      why: 'agent.vip_elsewhere is true, and the kernel takes cookies only for sockets of its own host',
      hint: 'Leave agent.vip_elsewhere out where the services are on this host.',
    };
  try {
    if (host.hasFunction(FUNCTION)) return undefined;
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    return { why: `its kernel cannot be asked: ${reasonOf(error)}`, hint: 'It takes a kernel with BTF.' };
  }
  return {
    why: `its kernel has no function ${FUNCTION}`,
    hint: 'It came with Linux 6.9, and needs CONFIG_SYN_COOKIES.',
  };
}

/** For `anyhop agent --check`: what is in the way of cookies that the config wants. */
export function cookieFindings(config: LoadedConfig<'agent'>, host: CookieHost): Finding[] {
  if (!wantsCookies(config)) return [];
  const obstacle = lastingObstacle(config, host) ?? passingObstacle(config, host);
  if (obstacle === undefined) return [];
  const message = `this host takes no SYN cookies of the fleet: ${obstacle.why}`;
  return [{ level: 'warning', code: 'ERR_BPF', message, hint: obstacle.hint }];
}

/** What may change at any moment. */
export function passingObstacle(config: CookieConfig, host: CookieHost): Obstacle | undefined {
  for (const name of SETTINGS) {
    if (host.read(`/proc/sys/net/${name.replace('.', '/')}`) !== '0') continue;
    return { why: `net.${name} is 0`, hint: `sysctl -w net.${name}=1` };
  }
  const tap = packetSocket(host);
  if (tap !== undefined)
    return {
      why: `a packet socket for IPv${tap} alone is open, beside which the kernel loses what a cookie has become`,
      hint: 'See whose it is: ss -0lnp (one for all protocols, tcpdump, does no harm).',
    };
  let listeners: Listener[];
  try {
    listeners = host.mptcpListeners();
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    return { why: `its sockets cannot be asked for: ${reasonOf(error)}`, hint: 'See dmesg.' };
  }
  const refusing = config.services.filter(
    ({ vip, protocol, portFirst, portLast }) =>
      protocol === 'tcp' &&
      listeners.some(({ address, port }) => port >= portFirst && port <= portLast && takesFor(address, vip)),
  );
  if (refusing.length === 0) return undefined;
  const names = listed(refusing, { most: SERVICES_NAMED, text: ({ name }) => name });
  return {
    why: `MPTCP listens for service ${names}, and its sockets take no cookies`,
    hint: 'Let the server listen by plain TCP (Go: GODEBUG=multipathtcp=0), or sysctl -w net.mptcp.enabled=0 and start it again.',
  };
}

/** In /proc/net/packet: the protocol that a socket is bound to, in hexadecimal digits. */
const PACKET_PROTOCOLS = new Map([
  ['0800', 4],
  ['86dd', 6],
]);

/** The IP version of a packet socket that is bound to it (native/lib/packet-socket.c says what that does). */
function packetSocket(host: CookieHost): number | undefined {
  const lines = host.read('/proc/net/packet')?.split('\n').slice(1) ?? [];
  const protocols = lines.map((line) => PACKET_PROTOCOLS.get(line.trim().split(/\s+/)[3]));
  return protocols.find((version) => version !== undefined);
}

const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

/** Whether a socket on an address gets the packets for a VIP. One on all IPv6 addresses may get those of IPv4, too. */
function takesFor(address: Uint8Array, vip: IpAddress): boolean {
  if (address.every((byte) => byte === 0)) return address.length === 16 || vip.family === 4;
  const isMapped = address.length === 16 && MAPPED_PREFIX.equals(address.subarray(0, 12));
  return addressFromBytes(isMapped ? address.subarray(12) : address).text === vip.text;
}
