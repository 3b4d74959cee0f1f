/** Reads what limits.ts judges: limits of this process, addresses of this host, and who listens on which port (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { availableParallelism, endianness } from 'node:os';
import { thisSystem } from '../../agent/system.js';
import { printable } from '../../core/printable.js';
import { requireTool, runTool } from '../../core/tool.js';
import { addressFromBytes, type IpAddress } from '../../packet/address.js';
import type { HostFacts, Listener, Needs } from './limits.js';

/** State of a socket in /proc/net/tcp. */
const LISTEN = '0A';

/**
 * @param ownPids processes of HAProxy, whose sockets do not count
 * @throws AnyhopError ERR_TOOL when the kernel cannot be asked for addresses or sockets
 */
export async function readHostFacts(
  { binds }: Pick<Needs, 'binds'>,
  ownPids: readonly number[],
): Promise<HostFacts> {
  return {
    ...descriptorFacts(),
    bindable: await bindable(binds.map(({ address }) => address)),
    listeners: await listeners(new Set(binds.map(({ port }) => port)), ownPids),
  };
}

/** How many files HAProxy may open, and how many threads it starts. */
export function descriptorFacts(): Pick<HostFacts, 'descriptorsMax' | 'cpus'> {
  return { descriptorsMax: hardLimit(read('/proc/self/limits')), cpus: availableParallelism() };
}

/** @param limits the text of /proc/PID/limits @returns Infinity without a limit */
export function hardLimit(limits: string): number {
  const hard = /^Max open files +\S+ +(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard);
}

async function bindable(addresses: readonly IpAddress[]): Promise<ReadonlySet<string>> {
  const isFree = ({ family }: IpAddress): boolean =>
    read(`/proc/sys/net/ipv${family}/ip_nonlocal_bind`).trim() === '1';
  const local = await thisSystem.localAmong(addresses);
  return new Set([...local, ...addresses.filter(isFree).map(({ text }) => text)]);
}

async function listeners(ports: ReadonlySet<number>, ownPids: readonly number[]): Promise<Listener[]> {
  const own = new Set(ownPids.flatMap(socketsOf));
  const found = ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap((path) => readListeners(read(path)))
    .filter(({ port, inode }) => ports.has(port) && !own.has(inode));
  if (found.length === 0) return [];
  const owners = ownersOf(new Set(found.map(({ inode }) => inode)));
  const both = found.some(({ address }) => address === '::') ? await dualStack() : new Set();
  return found.map(({ address, port, inode }) => ({
    address,
    port,
    owner: owners.get(inode),
    takesIpv4: both.has(inode),
  }));
}

/** Inodes of IPv6 sockets that also listen for IPv4, which /proc/net/tcp6 does not show. */
async function dualStack(): Promise<ReadonlySet<string>> {
  const text = await requireTool(runTool, 'ss', ['-H', '-6', '-t', '-l', '-n', '-e']);
  return new Set([...text.matchAll(/ ino:(\d+) .*v6only:0\b/g)].map(([, inode]) => inode!));
}

interface ListeningSocket {
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/** @param table the text of /proc/net/tcp or tcp6 */
export function readListeners(table: string): ListeningSocket[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/ +/);
    const [hex = '', port = ''] = local.split(':');
    if (state !== LISTEN || !/^(?:[0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) return [];
    return { address: addressFromBytes(bytesOf(hex)).text, port: Number.parseInt(port, 16), inode };
  });
}

/** The kernel prints each 32-bit word as a number of this machine. */
function bytesOf(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, 'hex');
  return endianness() === 'LE' ? bytes.swap32() : bytes;
}

/** Inodes of the sockets that a process has open; none when that may not be seen. */
function socketsOf(pid: number | string): string[] {
  return entries(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
}

/** By inode: name and number of the process. */
function ownersOf(inodes: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>();
  for (const pid of entries('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const inode of socketsOf(pid))
      if (inodes.has(inode))
        found.set(inode, `${printable(read(`/proc/${pid}/comm`).trim())} (process ${pid})`);
  }
  return found;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Empty when it cannot be read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
